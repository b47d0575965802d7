//go:build unix

package main

import (
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

// An engine is a PostgreSQL primary with a synchronous standby. Both have the same ports all the
// time.
type engine struct {
	primary, standby *pgtest.Server
	dsn              string
}

func startEngine() (*engine, error) {
	e := &engine{}
	var err error
	if e.primary, err = pgtest.Start(nil); err != nil {
		return nil, err
	}
	if err := e.addStandby(0); err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.dsn = fmt.Sprintf("postgres://relay@127.0.0.1:%d,127.0.0.1:%d/relay?sslmode=disable"+
		"&target_session_attrs=read-write", e.primary.Port, e.standby.Port)
	return e, nil
}

func (e *engine) addStandby(port int) (err error) {
	if e.standby, err = e.primary.Standby(port); err != nil {
		return err
	}
	return e.primary.Synchronous()
}

// promote takes the primary away and promotes the standby.
func (e *engine) promote(freeze bool) error {
	var err error
	if freeze {
		err = e.primary.Freeze()
	} else {
		err = e.primary.Stop("immediate")
	}
	if err != nil {
		return err
	}
	return e.standby.Promote()
}

// replace makes the promoted standby the primary, and gives it a standby in the place of the old
// primary.
func (e *engine) replace(frozen bool) error {
	old := e.primary
	e.primary, e.standby = e.standby, nil
	if frozen {
		if err := old.Thaw(); err != nil {
			return err
		}
	}
	if err := old.Close(); err != nil {
		return err
	}
	return e.addStandby(old.Port)
}

func (e *engine) close() (err error) {
	for _, s := range []*pgtest.Server{e.standby, e.primary} {
		if s != nil {
			_ = s.Thaw() // it is frozen if the drill has failed
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

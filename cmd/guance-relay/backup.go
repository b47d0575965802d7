package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

// backupStall is how long who reads a backup may take none of it. The copy takes room on the disk
// until it is read.
const backupStall = 2 * time.Minute

// A backupStore is a store that is copied while it is in use.
type backupStore interface {
	Backup(ctx context.Context, w io.Writer) error
}

// A backup is POST /backup, for one reader at a time: each has a copy on the disk.
type backup struct {
	store any
	log   *slog.Logger
	busy  sync.Mutex
}

// ServeHTTP implements http.Handler. An error after the first byte cuts the connection, so that the
// reader does not take a part for the whole.
func (b *backup) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	db, ok := b.store.(backupStore)
	if !ok {
		writeStatus(w, http.StatusNotFound, "error", "the store is PostgreSQL; back it up with pg_dump")
		return
	}
	if !b.busy.TryLock() {
		writeStatus(w, http.StatusConflict, "error", "another backup is being read; wait for its end")
		return
	}
	defer b.busy.Unlock()
	out := &backupAnswer{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetWriteDeadline(time.Time{}) // the copy takes as long as the disk
	began := time.Now()
	err := db.Backup(req.Context(), out)
	switch {
	case err == nil:
		b.log.Info("a backup was read", "bytes", out.bytes, "took", time.Since(began).String())
	case out.bytes > 0:
		b.log.Warn("a backup was not read to its end", "bytes", out.bytes, "error", err.Error())
		panic(http.ErrAbortHandler)
	default:
		b.log.Error("there is no backup", "error", err.Error())
		writeStatus(w, http.StatusServiceUnavailable, "error", err.Error())
	}
}

// A backupAnswer is an answer whose reader may be slow, and must not stall.
type backupAnswer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	bytes   int64
}

// Write implements io.Writer.
func (a *backupAnswer) Write(b []byte) (int, error) {
	if a.bytes == 0 {
		a.w.Header().Set("Content-Type", "application/octet-stream")
	}
	if err := a.control.SetWriteDeadline(time.Now().Add(backupStall)); err != nil {
		return 0, err
	}
	n, err := a.w.Write(b)
	a.bytes += int64(n)
	return n, err
}

// backupTools are the subcommands for backups. FILE - is stdout or stdin.
func (c *config) backupTools() []*cli.Command {
	return []*cli.Command{
		c.subcommand("backup", "copies the store of the running server to a file, which must not exist",
			"FILE", 1, 1, func(ctx context.Context, c *config, _ io.Writer) error {
				return saveBackup(ctx, c, c.args[0])
			}),
		c.subcommand("restore", "makes the store of a backup, in a directory without one; what was "+
			"pending becomes dead letters", "FILE", 1, 1,
			func(ctx context.Context, c *config, stdout io.Writer) error {
				return restore(ctx, c, stdout, c.args[0])
			}),
	}
}

// settings takes what a configuration file says of store and listeners.
func (c *config) settings() (boltstore.Options, error) {
	if c.file == "" {
		return boltstore.Options{}, nil
	}
	f, err := relayfile.Settings(c.file)
	if err == nil {
		err = c.fromFile(f.File)
	}
	if err != nil {
		return boltstore.Options{}, configError{err}
	}
	return f.Store, nil
}

// saveBackup writes a backup of the server at the operator's address to a file.
func saveBackup(ctx context.Context, c *config, name string) error {
	if _, err := c.settings(); err != nil {
		return err
	}
	if c.operator == "" {
		return configError{errors.New("backup needs the operator's address of the running server: " +
			"-operator, RELAY_OPERATOR or listeners.operator in the file of -config")}
	}
	if name == "-" {
		return fetchBackup(ctx, c.operator, os.Stdout)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return configError{err}
	}
	if err = fetchBackup(ctx, c.operator, f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// fetchBackup asks a server for a backup. Whatever is not the whole of it is an error.
func fetchBackup(ctx context.Context, operator string, w io.Writer) error {
	transport := &http.Transport{} // it uses no proxy of the environment
	defer transport.CloseIdleConnections()
	u := url.URL{Scheme: "http", Host: operator, Path: "/backup"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return configError{err}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("the server cannot be asked for a backup: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server makes no backup: %s: %s", resp.Status, said)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the backup broke off, nothing was kept of it: %w", err)
	}
	return nil
}

// restore makes the store of a backup.
func restore(ctx context.Context, c *config, stdout io.Writer, name string) (err error) {
	opts, err := c.settings()
	if err != nil {
		return err
	}
	if c.store != "" {
		return configError{errors.New("RELAY_STORE is set: restore a PostgreSQL database with its own " +
			"tools")}
	}
	if opts.Logger, err = c.logger(os.Stderr); err != nil {
		return configError{err}
	}
	in := os.Stdin
	if name != "-" {
		if in, err = os.Open(name); err != nil {
			return configError{err}
		}
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	restored, err := boltstore.Restore(ctx, c.data, in, &opts)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "The store is in %s.\n", filepath.Clean(c.data))
	for _, lane := range slices.Sorted(maps.Keys(restored)) {
		if n := restored[lane]; n > 0 {
			fmt.Fprintf(stdout, "%s: %d events were pending and are dead letters now\n", lane, n)
		}
	}
	return nil
}

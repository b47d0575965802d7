package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A program opens the store, gives it to a relay, and closes it after the relay has stopped.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := boltstore.Open(filepath.Join(dir, "relay-data"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	r, err := relay.New(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Handle("print", relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
		fmt.Println(d.Event.Title)
		return nil
	}), nil)

	// Run would deliver events until its context ends. Accepted events stay in the store.
	fmt.Println("the store takes events:", db.Check(context.Background()) == nil)
	// Output: the store takes events: true
}

// A small disk takes a small store.
func ExampleOptions() {
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := boltstore.Open(dir, &boltstore.Options{
		MaxEntries:     2,        // pending entries
		MaxLaneEntries: 1,        // of them, those of one lane
		MaxBytes:       64 << 20, // of pending entries
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	for i := range 3 {
		err := db.Append(context.Background(), &store.Batch{Events: []*store.Event{{
			Problem: fmt.Sprint("disk of db-", i), Body: []byte("{}"),
			Wanted: []store.Offer{{Lane: fmt.Sprint("team-", i)}},
		}}})
		fmt.Printf("event %d: full: %t\n", i+1, errors.Is(err, store.ErrFull))
	}
	// Output:
	// event 1: full: false
	// event 2: full: false
	// event 3: full: true
}

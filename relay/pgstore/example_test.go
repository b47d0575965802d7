package pgstore_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Each node opens the store with the same DSN and gives it to its relay. It has no Output here, as
// it needs a server.
func ExampleOpen() {
	ctx := context.Background()
	// The password is better in a file: PGPASSFILE, or passfile= in the DSN.
	db, err := pgstore.Open(ctx, "postgres://relay@db-1.example.com,db-2.example.com/relay"+
		"?sslmode=verify-full&target_session_attrs=read-write", &pgstore.Options{
		Lease: 5 * time.Second, // another node takes over after it
	})
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
	if err := r.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// Open refuses what cannot work before it connects, and says what is wrong without the password.
func ExampleOpen_errors() {
	opts := &pgstore.Options{Logger: slog.New(slog.DiscardHandler)}
	_, err := pgstore.Open(
		context.Background(), "postgres://relay:secret@db.example.com:x/relay", opts)
	what, like, _ := strings.Cut(err.Error(), "; ")
	fmt.Println(what)
	fmt.Println(like)
	// Output:
	// pgstore: the DSN cannot be used (invalid port)
	// it is like postgres://user@host:5432/database?sslmode=verify-full
}

// Who owns which lane, on any node.
func ExampleStore_Owners() {
	var db *pgstore.Store // from Open
	var cluster store.Cluster = db
	owners, err := cluster.Owners(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for lane, owner := range owners {
		fmt.Printf("%s is delivered by %s\n", lane, owner.Node)
	}
}

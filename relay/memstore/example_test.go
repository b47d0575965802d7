package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A node is killed, and another one acquires its lanes once the lease has expired. In a
// testing/synctest bubble that takes no time.
func ExampleCluster() {
	c := memstore.NewCluster()
	c.SetLease(500 * time.Millisecond)
	a, b := c.Open("a"), c.Open("b")
	defer b.Close()
	ctx := context.Background()
	group := store.Group{Name: "account", Lanes: []string{"lane"}}

	lease, err := a.Acquire(ctx, group)
	if err != nil {
		panic(err)
	}
	a.Kill()
	<-lease.Lost()

	if _, err := b.Acquire(ctx, group); err != nil {
		panic(err)
	}
	owners, err := b.Owners(ctx)
	fmt.Println(owners["lane"].Node, err)
	// Output: b <nil>
}

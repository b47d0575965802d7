package store

import (
	"context"
	"time"
)

// A Cluster is a [Store] that several processes, the nodes, use at a time. Each accepts events; one
// of them owns the lanes of a group.
//
// Its leases are bound by the time of the engine that keeps the store, and the store renews them. A
// node that is stopped, or that cannot reach the engine, loses its leases, and another node
// acquires them. Its methods return [ErrUnavailable] while the engine cannot be reached. An
// ErrUnavailable of Revive, Drop or Mark leaves in doubt whether the call took effect, and ends the
// lease. A roll-back ends all leases: the engine has lost what it had not replicated. Clock may go
// on while no process has the store open.
type Cluster interface {
	Store
	// Owners returns who owns each lane now. A lane without a live lease is left out.
	Owners(ctx context.Context) (map[string]Owner, error)
	// Pending returns the pending entries of a problem in a lane, by sequence number and without
	// bodies.
	Pending(ctx context.Context, lane, problem string) ([]*Entry, error)
	// Ask brings a request to the owner of a lane, and waits for its answer or the end of ctx. It is
	// [ErrNotFound] if the lane has no owner, and [ErrUnavailable] if the lease of the owner ends
	// before the answer: the owner may have done what was asked. No other owner gets the request, so
	// nothing is done twice. A request that was not answered is forgotten when ctx ends.
	Ask(ctx context.Context, lane string, request []byte) (answer []byte, err error)
}

// An Owner is a node that owns a lane.
type Owner struct {
	Node string // as in Group.Node
	// Figures are what the node published last, see [ClusterLease.Publish]. They are as old as At
	// says, by the wall clock of the reader.
	Figures []byte
	At      time.Time
}

// A ClusterLease is a [Lease] of a [Cluster]. Until is not zero.
type ClusterLease interface {
	Lease
	// Publish shows figures to the other nodes. It replaces the last ones, and returns before they
	// are written: they are written with the next renewal.
	Publish(lane string, figures []byte)
	// Next waits for a request of [Cluster.Ask] to one of the lanes of the lease. It returns
	// [ErrFenced] once the lease has ended.
	Next(ctx context.Context) (*Request, error)
}

// A Request is a call of [Cluster.Ask], at the owner of the lane.
type Request struct {
	Lane string
	Body []byte
	// Answer sends the answer. Without one, the caller waits in vain.
	Answer func(ctx context.Context, answer []byte) error
}

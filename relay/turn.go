package relay

import "context"

// A turn is a mutex for which a caller waits no longer than its context. In a synctest bubble, time
// goes on for who waits for it, unlike for who waits for a sync.Mutex.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn. It fails if ctx ends before.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) giveBack() { <-t }

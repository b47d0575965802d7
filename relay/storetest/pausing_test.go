package storetest

import (
	"context"
	"strings"

	"github.com/guance-relay/guance-relay/relay/store"
)

// onPause changes what SetPause keeps.
func onPause(b *broken, change func(*store.Pause)) {
	b.setPause = func(l store.Lane, ctx context.Context, p store.Pause) error {
		change(&p)
		return l.SetPause(ctx, p)
	}
}

// keepPauses keeps the pauses in memory.
func keepPauses(b *broken, key func(l store.Lane) any) {
	own := make(map[any]store.Pause)
	b.setPause = func(l store.Lane, ctx context.Context, p store.Pause) error {
		err := l.SetPause(ctx, p)
		if err == nil {
			own[key(l)] = p
		}
		return err
	}
	b.pause = func(l store.Lane, ctx context.Context) (store.Pause, error) {
		_, err := l.Pause(ctx)
		return own[key(l)], err
	}
	b.restart = func() { clear(own) }
}

const (
	pauseCheck       = "SetPause keeps one pause of each lane"
	pauseFoundCheck  = "opening again finds the pause"
	openCheck        = "OpenProblems come in pages"
	pauseAcrossCheck = "SetPause is found by the owner in another node"
)

var pausingBugs = []bug[broken]{
	{"a pause has no end", func(b *broken) {
		onPause(b, func(p *store.Pause) { p.Until = 0 })
	}, pauseCheck},
	{"a pause ends at a whole second", func(b *broken) {
		onPause(b, func(p *store.Pause) { p.Until -= p.Until % 1e9 })
	}, pauseCheck},
	{"who paused is text", func(b *broken) {
		onPause(b, func(p *store.Pause) { p.By = strings.ToValidUTF8(p.By, "?") })
	}, pauseCheck},
	{"why is not kept", func(b *broken) {
		onPause(b, func(p *store.Pause) { p.Reason = "" })
	}, pauseCheck},
	{"the first pause stays", func(b *broken) {
		b.setPause = func(l store.Lane, ctx context.Context, p store.Pause) error {
			if old, err := l.Pause(ctx); err != nil || old != (store.Pause{}) {
				return err
			}
			return l.SetPause(ctx, p)
		}
	}, pauseCheck},
	{"a pause is not removed", func(b *broken) {
		b.setPause = func(l store.Lane, ctx context.Context, p store.Pause) error {
			if _, err := l.Pause(ctx); err != nil || p == (store.Pause{}) {
				return err
			}
			return l.SetPause(ctx, p)
		}
	}, pauseCheck},
	{"a pause is of all lanes", func(b *broken) {
		keepPauses(b, func(store.Lane) any { return nil })
	}, pauseCheck},
	{"a pause is of one owner", func(b *broken) {
		keepPauses(b, func(l store.Lane) any { return l })
	}, pauseCheck},
	{"a pause is in memory", func(b *broken) {
		keepPauses(b, func(store.Lane) any { return nil })
	}, pauseFoundCheck},
	{"SetPause is not fenced", func(b *broken) {
		b.setPause = func(_ store.Lane, ctx context.Context, p store.Pause) error {
			return b.current().SetPause(ctx, p)
		}
	}, "Acquire fences the earlier owner"},
	{"Pause is not fenced", func(b *broken) {
		b.pause = func(_ store.Lane, ctx context.Context) (store.Pause, error) {
			return b.current().Pause(ctx)
		}
	}, "Acquire fences the earlier owner"},
	{"a page of open problems begins where the last ended", func(b *broken) {
		last := ""
		b.openProblems = func(ctx context.Context, lane, from string, limit int) (
			open []store.OpenProblem, next string, err error,
		) {
			if from != "" {
				from = last
			}
			open, next, err = b.inner.OpenProblems(ctx, lane, from, limit)
			if len(open) > 0 {
				last = open[len(open)-1].Problem
			}
			return open, next, err
		}
	}, openCheck},
	{"a page of open problems leaves one out", func(b *broken) {
		b.openProblems = func(ctx context.Context, lane, from string, limit int) (
			[]store.OpenProblem, string, error,
		) {
			if from != "" {
				from += "\x00"
			}
			return b.inner.OpenProblems(ctx, lane, from, limit)
		}
	}, openCheck},
	{"a page of open problems has no end", func(b *broken) {
		b.openProblems = func(ctx context.Context, lane, from string, _ int) (
			[]store.OpenProblem, string, error,
		) {
			return b.inner.OpenProblems(ctx, lane, from, 1000)
		}
	}, openCheck},
	{"there is one page of open problems", func(b *broken) {
		b.openProblems = func(ctx context.Context, lane, from string, limit int) (
			[]store.OpenProblem, string, error,
		) {
			open, _, err := b.inner.OpenProblems(ctx, lane, from, limit)
			return open, "", err
		}
	}, openCheck},
	{"open problems have no record", func(b *broken) {
		b.openProblems = func(ctx context.Context, lane, from string, limit int) (
			[]store.OpenProblem, string, error,
		) {
			open, next, err := b.inner.OpenProblems(ctx, lane, from, limit)
			for i := range open {
				open[i].Record = store.Record{Open: true}
			}
			return open, next, err
		}
	}, openCheck},
	{"problems that were resolved are open", func(b *broken) {
		b.openProblems = func(ctx context.Context, lane, from string, limit int) (
			[]store.OpenProblem, string, error,
		) {
			open, next, err := b.inner.OpenProblems(ctx, lane, from, limit)
			for _, st := range b.inner.Settled(lane) {
				if st.ID == "end" && next == "" && len(open) < limit {
					open = append(open, store.OpenProblem{Problem: st.Problem})
				}
			}
			return open, next, err
		}
	}, openCheck},
}

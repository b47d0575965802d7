package simulate_test

import (
	"errors"
	"flag"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/internal/simulate"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

var (
	seeds    = flag.Uint64("seeds", 150, "how many seeds to play")
	minutes  = flag.Float64("minutes", 60, "after how many minutes to stop")
	first    = flag.Uint64("first", 1, "the first seed")
	seed     = flag.Uint64("seed", 0, "the one seed to play, ten times")
	noShrink = flag.Bool("noshrink", false, "show a plan that fails as it is")
	several  = flag.Bool("several", false, "play only seeds with several nodes")
)

// onDisk: one seed in so many is played on boltstore, whose commits wait for a real disk.
const onDisk = 50

// play plays a plan in a bubble.
func play(t *testing.T, p *simulate.Plan) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if p.Nodes > 1 {
			c := memstore.NewCluster()
			c.LimitLane(p.LaneLimit)
			err = simulate.RunNodes(p, c)
			return
		}
		if p.Seed%onDisk != 0 {
			s := memstore.New()
			s.LimitLane(p.LaneLimit)
			err = simulate.Run(p, s)
			return
		}
		dir, e := os.MkdirTemp("", "simulate-")
		if e != nil {
			t.Fatal(e)
		}
		s, e := boltstore.Open(dir, &boltstore.Options{MaxLaneEntries: p.LaneLimit})
		if e != nil {
			t.Fatal(e)
		}
		err = errors.Join(simulate.Run(p, s), s.Close(), os.RemoveAll(dir))
	})
	return err
}

// Promises 1 to 8 hold for all seeds.
func TestSeeds(t *testing.T) {
	if *seed != 0 {
		for range 10 {
			if err := play(t, simulate.NewPlan(*seed)); err != nil {
				t.Fatalf("%v\n%v", simulate.NewPlan(*seed), err)
			}
		}
		t.Log(simulate.NewPlan(*seed))
		return
	}
	stop := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	var played atomic.Uint64
	for s := *first; s < *first+*seeds && time.Now().Before(stop); s++ {
		p := simulate.NewPlan(s)
		if *several && p.Nodes == 1 {
			continue
		}
		if err := play(t, p); err != nil {
			if !*noShrink {
				p, err = shrink(t, p, err)
			}
			t.Fatalf("%v\n%v\nagain: go test ./internal/simulate -run TestSeeds -seed %d", p, err,
				s)
		}
		if played.Add(1)%5000 == 0 {
			t.Logf("%d seeds", played.Load())
		}
	}
	t.Logf("%d seeds, from %d", played.Load(), *first)
}

// shrink removes steps from a plan that fails, as long as it still fails.
func shrink(t *testing.T, p *simulate.Plan, err error) (*simulate.Plan, error) {
	for size := len(p.Steps) / 2; size > 0; size /= 2 {
	next:
		for i := 0; i+size <= len(p.Steps); {
			q := *p
			q.Steps = append(append([]simulate.Step{}, p.Steps[:i]...), p.Steps[i+size:]...)
			for range 5 { // goroutines may run in another order
				if e := play(t, &q); e != nil {
					p, err = &q, e
					continue next
				}
			}
			i += size
		}
	}
	return p, err
}

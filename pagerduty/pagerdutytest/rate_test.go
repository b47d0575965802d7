package pagerdutytest_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const throttled = `{"status":"throttle exceeded","message":"Requests for this service are ` +
	`arriving too quickly.  Please retry later.","errors":["Requests for this service are arriving ` +
	`too quickly.  Please retry later."]}`

func TestFact45TheCallAfter120IsThrottledAndNotIngested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		// 60 at once and 60 half a minute later: the fake counts the last 60 seconds, and is not a token
		// bucket.
		for n := range 120 {
			if n == 60 {
				time.Sleep(30 * time.Second)
			}
			send(t, fake, trigger(key1, strconv.Itoa(n)))
		}
		refused := func(dedupKey string) {
			t.Helper()
			got := post(t, fake, alertURL, trigger(key1, dedupKey).String())
			if diff := cmp.Diff(decoded(t, throttled), decoded(t, got.body)); got.status != 429 ||
				diff != "" {
				t.Errorf("%s: %d (-want +got)\n%s", dedupKey, got.status, diff)
			}
			if _, ingested := fake.Incident(dedupKey); ingested {
				t.Errorf("%s was throttled and ingested", dedupKey)
			}
		}
		refused("121st")
		send(t, fake, trigger(key2, "other key"))
		if got := post(t, fake, changeURL, change(key1).String()); got.status != 429 ||
			len(fake.Changes()) != 0 {
			t.Errorf("change event on the same key: %d", got.status) // the limit is per key
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		refused("just before the minute is over")
		time.Sleep(time.Nanosecond)
		for n := range 60 { // the first 60 are older than the window, and refused ones never counted
			send(t, fake, trigger(key1, "again "+strconv.Itoa(n)))
		}
		refused("181st")
		if open := len(fake.Open()); open != 181 {
			t.Errorf("%d open; want 120, 60 and that of the other key", open)
		}
	})
}

func TestRateLimitChangesWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		status := func() int { return post(t, fake, alertURL, resolve(key1, "a").String()).status }
		expect := func(what string, want int) {
			t.Helper()
			if got := status(); got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		fake.SetRateLimit(0)
		for range 500 {
			expect("without a limit", 202)
		}
		fake.SetRateLimit(500)
		expect("those before count", 429)
		fake.SetRateLimit(502)
		expect("raised", 202)
		expect("raised", 202)
		expect("raised and full", 429)
		fake.SetRateLimit(1)
		time.Sleep(time.Minute)
		expect("lowered", 202)
		expect("lowered and full", 429)
		fake.SetRateLimit(-1)
		expect("none again", 202)
	})
}

// A request counts towards the rate if its key is valid and no fault keeps it out.
func TestWhatCountsTowardTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.SetRateLimit(2)
		fake.AcceptKeys(key1)
		for _, body := range []string{"{", resolve("short", "a").String(), resolve(key2, "a").String()} {
			if got := post(t, fake, alertURL, body); got.status != 400 {
				t.Fatalf("%d", got.status)
			}
		}
		fake.Script(pagerdutytest.Fault{Status: 503})
		post(t, fake, alertURL, resolve(key1, "a").String())
		if got := post(t, fake, alertURL,
			trigger(key1, "a").payload("severity", "high").String()); got.status != 400 {
			t.Fatalf("%d", got.status) // counts
		}
		fake.Script(pagerdutytest.Fault{Status: 503, Ingest: true})
		post(t, fake, alertURL, resolve(key1, "a").String()) // counts
		if got := post(t, fake, alertURL, resolve(key1, "a").String()); got.status != 429 {
			t.Errorf("%d; want 429", got.status)
		}
		if got := fake.MaxPerWindow(); got != 4 {
			t.Errorf("MaxPerWindow = %d; want the 4 under one live key, whatever they were answered", got)
		}
	})
}

// MaxPerWindow is compared with counting every window that begins at a quarter of a second. All
// arrivals are at quarters, so there are no other windows.
func TestMaxPerWindowIsExact(t *testing.T) {
	const tick = 250 * time.Millisecond
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				fake := pagerdutytest.NewTransport()
				start := time.Now()
				arrivals := map[string][]int{} // in ticks, by key
				for range 400 {
					switch random.IntN(10) {
					case 0:
						time.Sleep(time.Minute) // exactly a minute shows an off-by-one error
					case 1, 2, 3:
						time.Sleep(time.Duration(random.IntN(60)) * tick)
					}
					key := []string{key1, key2}[random.IntN(2)]
					switch random.IntN(8) {
					case 0:
						fake.Script(pagerdutytest.Fault{Status: 502})
					case 1:
						fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead})
					}
					_, _ = try(t, fake, alertURL, resolve(key, "a").String())
					arrivals[key] = append(arrivals[key], int(time.Since(start)/tick))
				}
				const window = int(time.Minute / tick)
				want := 0
				for _, at := range arrivals {
					for from := -window; from <= at[len(at)-1]; from++ {
						n := 0
						for _, a := range at {
							if a >= from && a < from+window {
								n++
							}
						}
						want = max(want, n)
					}
				}
				if got := fake.MaxPerWindow(); got != want {
					t.Errorf("MaxPerWindow = %d; want %d", got, want)
				}
			})
		})
	}
}

// A request that was not read counts for every key.
func TestMaxPerWindowIsNeverTooSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		unread := func() {
			fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.DropBeforeRead})
			if _, err := try(t, fake, alertURL, resolve(key1, "a").String()); err == nil {
				t.Fatal("answered")
			}
		}
		unread()
		if got := fake.MaxPerWindow(); got != 1 {
			t.Errorf("MaxPerWindow = %d; want 1", got)
		}
		time.Sleep(time.Second)
		send(t, fake, resolve(key1, "a"), resolve(key2, "a"), resolve(key2, "a"))
		time.Sleep(time.Second)
		unread()
		if got := fake.MaxPerWindow(); got != 4 {
			t.Errorf("MaxPerWindow = %d; want 2 of the second key and 2 that could be", got)
		}
	})
}

// A request that broke off after its last byte has a key, and counts.
func TestMaxPerWindowCountsWhatBrokeOff(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	r, err := http.NewRequest(http.MethodPost, alertURL,
		io.MultiReader(strings.NewReader(resolve(key1, "a").String()), brokenReader{}))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := do(fake, r); err == nil || fake.MaxPerWindow() != 1 ||
		fake.Requests()[0].Status != 0 {
		t.Errorf("answered %d; MaxPerWindow = %d", a.status, fake.MaxPerWindow())
	}
}

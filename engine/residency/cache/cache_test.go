package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"comfygo/engine/residency/cache"
)

// shelf is a cache of strings that records what it builds and closes.
type shelf struct {
	*cache.Cache[string, string]
	mu     sync.Mutex
	built  []string
	closed []string
}

func newShelf(budget int64) *shelf {
	s := &shelf{}
	s.Cache = cache.New[string](budget, func(v string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = append(s.closed, v)
	})
	return s
}

func (s *shelf) get(t testing.TB, key string, bytes int64) (done func()) {
	t.Helper()
	v, done, err := s.Get(context.Background(), key, bytes, func(context.Context) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.built = append(s.built, key)
		return key, nil
	})
	if err != nil || v != key {
		t.Fatalf("Get(%s) = %q, %v", key, v, err)
	}
	return done
}

func TestTheLeastRecentlyUsedGoesFirst(t *testing.T) {
	t.Parallel()
	s := newShelf(10)
	for _, k := range []string{"a", "b", "a", "c", "d"} { // d needs room: b was used longest ago
		s.get(t, k, 3)()
	}
	if fmt.Sprint(s.built, s.closed) != "[a b c d] [b]" {
		t.Errorf("built %v, closed %v", s.built, s.closed)
	}
	want := cache.Stats{Entries: 3, Bytes: 9, Budget: 10, Hits: 1, Misses: 4, Evictions: 1}
	if got := s.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	s := newShelf(5)
	doneA := s.get(t, "a", 4)
	doneB := s.get(t, "b", 4) // over the budget, but both are in use
	if len(s.closed) != 0 {
		t.Fatalf("closed %v while in use", s.closed)
	}
	doneA()
	doneA() // a second call must not count
	if fmt.Sprint(s.closed) != "[a]" {
		t.Errorf("closed %v, want [a]", s.closed)
	}
	doneB()
	if st := s.Stats(); st.Entries != 1 || st.InUse != 0 || st.Bytes != 4 {
		t.Errorf("stats %+v", st)
	}
}

func TestRoomIsMadeBeforeBuilding(t *testing.T) {
	t.Parallel()
	s := newShelf(5)
	s.get(t, "a", 4)()
	_, done, err := s.Get(context.Background(), "b", 4, func(context.Context) (string, error) {
		if fmt.Sprint(s.closed) != "[a]" {
			t.Error("a is still there while b is built")
		}
		return "b", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done()
}

func TestEvictAllAndFreeAndBudget(t *testing.T) {
	t.Parallel()
	s := newShelf(100)
	done := s.get(t, "a", 1)
	s.get(t, "b", 1)()
	s.EvictAll()
	if fmt.Sprint(s.closed) != "[b]" {
		t.Errorf("closed %v, want the idle one", s.closed)
	}
	s.get(t, "a", 1)() // built anew beside the old one
	done()
	if fmt.Sprint(s.built, s.closed) != "[a b a] [b a]" {
		t.Errorf("built %v, closed %v", s.built, s.closed)
	}
	for _, k := range []string{"c", "d", "e"} {
		s.get(t, k, 10)()
	}
	if freed := s.Free(5); freed != 11 { // a and c
		t.Errorf("freed %d, want 11", freed)
	}
	s.SetBudget(10)
	if st := s.Stats(); st.Entries != 1 || st.Bytes != 10 {
		t.Errorf("after SetBudget: %+v", st)
	}
}

func TestOneBuildForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10)
		var builds atomic.Int32
		gate := make(chan struct{})
		build := func(context.Context) (string, error) {
			builds.Add(1)
			<-gate
			return "v", nil
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				v, done, err := s.Get(context.Background(), "k", 1, build)
				if err != nil || v != "v" {
					t.Errorf("got %q, %v", v, err)
					return
				}
				done()
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if n := builds.Load(); n != 1 {
			t.Errorf("built %d times", n)
		}
		if st := s.Stats(); st.InUse != 0 || st.Entries != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAFailedBuildIsNotKeptAndOthersTryAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10)
		stop := errors.New("interrupted")
		first, cancel := context.WithCancelCause(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, err := s.Get(first, "k", 1, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", context.Cause(ctx)
			})
			if !errors.Is(err, stop) {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			v, done, err := s.Get(context.Background(), "k", 1, func(context.Context) (string, error) { return "second", nil })
			if err != nil || v != "second" {
				t.Errorf("the second got %q, %v", v, err)
				return
			}
			done()
		})
		waiting, leave := context.WithCancelCause(context.Background())
		wg.Go(func() {
			_, _, err := s.Get(waiting, "k", 1, func(context.Context) (string, error) { return "", errors.New("must not build") })
			if !errors.Is(err, stop) {
				t.Errorf("the one that left got %v", err)
			}
		})
		synctest.Wait()
		leave(stop)
		synctest.Wait()
		cancel(stop)
		wg.Wait()
		if st := s.Stats(); st.InUse != 0 || st.Entries != 1 || st.Bytes != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAPanicInBuildLeavesTheCacheWhole(t *testing.T) {
	t.Parallel()
	s := newShelf(10)
	func() {
		defer func() { _ = recover() }()
		_, _, _ = s.Get(context.Background(), "k", 1, func(context.Context) (string, error) { panic("no") })
	}()
	if st := s.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Errorf("stats %+v", st)
	}
	s.get(t, "k", 4)()
}

// For every sequence of requests: no value in use is closed, each built value is closed at most once, the sums are right,
// and with nothing in use the budget holds.
func TestRandomUse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		open := map[int]bool{}
		next := 0
		c := cache.New[int](20, func(v int) {
			if !open[v] {
				t.Fatalf("%d was closed twice", v)
			}
			delete(open, v)
		})
		type use struct {
			value int
			done  func()
		}
		var uses []use
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch k := rapid.IntRange(0, 9).Draw(t, "op"); {
			case k < 6:
				v, done, err := c.Get(context.Background(), k, int64(k*3), func(context.Context) (int, error) {
					next++
					open[next] = true
					return next, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				uses = append(uses, use{v, done})
			case k == 6:
				c.EvictAll()
			case k == 7:
				c.Free(int64(rapid.IntRange(0, 20).Draw(t, "bytes")))
			case len(uses) > 0:
				i := rapid.IntRange(0, len(uses)-1).Draw(t, "which")
				uses[i].done()
				uses = slices.Delete(uses, i, i+1)
			}
			for _, u := range uses {
				if !open[u.value] {
					t.Fatalf("%d was closed while in use", u.value)
				}
			}
		}
		for _, u := range uses {
			u.done()
		}
		if st := c.Stats(); st.Bytes > 20 || st.InUse != 0 || st.Entries != len(open) {
			t.Fatalf("%+v with %d open", st, len(open))
		}
		c.Close()
		if len(open) != 0 || c.Stats().Bytes != 0 {
			t.Fatalf("after Close %d are open, %+v", len(open), c.Stats())
		}
	})
}

func TestCloseWaitsForUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10)
		done := s.get(t, "a", 1)
		s.get(t, "b", 1)()
		ended := make(chan struct{})
		go func() {
			s.Close()
			close(ended)
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Close did not wait for a user")
		default:
		}
		if _, _, err := s.Get(t.Context(), "c", 1, nil); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Get on a closing cache: %v", err)
		}
		done()
		<-ended
		if fmt.Sprint(s.closed) != "[b a]" {
			t.Errorf("closed %v", s.closed)
		}
	})
}

package download

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLockLetsOneInAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var inside atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			unlock, err := Lock(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			inside.Add(-1)
			unlock()
		})
	}
	wg.Wait()
	unlock, err := Lock(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := Lock(ctx, path); !errors.Is(err, stop) {
		t.Errorf("waiting with a cancelled context: got %v, want its cause", err)
	}
}

func TestClientArguments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		got  []string
		want string
	}{
		{pipArgs(Item{Project: "p", Version: "1", Platform: "win_amd64"}, "D"), "--platform win_amd64 --dest D p==1"},
		{pipArgs(Item{Project: "p", Version: "1"}, "D"), "--only-binary :all: --dest D p==1"},
		{npmArgs(Item{Project: "p", Version: "1"}, "D"), "pack --silent --pack-destination D p@1"},
		{curlArgs(Item{URL: "https://example.org/v1/p.tgz"}, "D"), "--output " + filepath.Join("D", "p.tgz") + " https://example.org/v1/p.tgz"},
	}
	for _, test := range tests {
		if got := strings.Join(test.got, " "); !strings.HasSuffix(got, test.want) {
			t.Errorf("arguments %q do not end in %q", got, test.want)
		}
	}
}

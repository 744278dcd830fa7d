package server_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestSocketsAreQuietWhenOthersWork: the socket of an idle owner reports neither the jobs of others nor the
// files that the scanner finds of them; the administrator's reports both.
func TestSocketsAreQuietWhenOthersWork(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	bob, root := a.socket(t, "bob", "b"), a.socket(t, "root", "r")
	id := a.put("ann", `{"prompt": `+graphOf(1)+`}`)
	a.until("ann's job", func() bool { return a.as("ann", "GET", "/history/"+id, "").body != "{}" })
	a.until("a scan", func() bool { return a.as("root", "POST", "/api/assets/seed?wait=true", "").status == 200 })
	a.put("bob", `{"prompt": `+graphOf(2)+`}`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, data, err := bob.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), `"queue_remaining": 1`) {
			break
		}
		if !strings.Contains(string(data), `"sid"`) { // the greeting
			t.Errorf("bob is told %s", data)
		}
	}
	for _, part := range []string{`"queue_remaining": 1`, "assets.seed.started"} {
		for {
			_, data, err := root.Read(ctx)
			if err != nil {
				t.Fatalf("the administrator is not told %s: %v", part, err)
			}
			if strings.Contains(string(data), part) {
				break
			}
		}
	}
}

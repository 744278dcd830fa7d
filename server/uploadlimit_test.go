package server_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/server"
)

// TestNoUploadLimit takes bodies of any size when there is no bound, and tells clients 0 as upstream does.
func TestNoUploadLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{math.Inf(1), 1e300} {
		r := start(t, func(c *server.Config) { c.MaxUploadSize = limit })
		if got := r.do("POST", "/userdata/x.txt", strings.Repeat("x", 1<<20)); got.status != 200 {
			t.Errorf("limit %v: %d %s", limit, got.status, got.body)
		}
		if body := r.do("GET", "/features", "").body; math.IsInf(limit, 1) && !strings.Contains(body, `"max_upload_size": 0,`) {
			t.Errorf("the features are %s", body)
		}
	}
}

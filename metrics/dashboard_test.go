package metrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"comfygo/metrics"
)

// TestDashboard sees that every figure that the Grafana dashboard shows is one of ours or of the runtime's.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/metrics/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	m := metrics.New("1", metrics.Sources{
		Queue:   func() metrics.Queue { return metrics.Queue{} },
		Models:  func() metrics.Models { return metrics.Models{} },
		Memory:  func() []metrics.Memory { return []metrics.Memory{{Device: "cpu"}} },
		Sockets: func() metrics.Sockets { return metrics.Sockets{} },
		Workers: func() []metrics.Worker { return []metrics.Worker{{ID: "w"}} },
	})
	m.Requested("GET", "/", 200, 1)
	have := scrape(t, m)
	name := regexp.MustCompile(`\b(comfygo|go|process)_[a-z_]+`)
	shown := map[string]bool{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			names := name.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q shows nothing: %s", p.Title, target.Expr)
			}
			for _, n := range names {
				shown[n] = true
				if !strings.Contains(have, "\n"+n+"{") && !strings.Contains(have, "\n"+n+" ") {
					t.Errorf("panel %q shows %s, which does not exist", p.Title, n)
				}
			}
		}
	}
	for _, line := range strings.Split(have, "\n") {
		family, isType := strings.CutPrefix(line, "# TYPE comfygo_")
		if family, _, _ = strings.Cut(family, " "); !isType || family == "build_info" || family == "queue_paused" {
			continue
		}
		found := false
		for n := range shown {
			found = found || strings.HasPrefix(n, "comfygo_"+family)
		}
		if !found {
			t.Errorf("no panel shows comfygo_%s", family)
		}
	}
}

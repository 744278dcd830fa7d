// Package load feeds a running server with tiny prompts and measures how it copes: how many a second are accepted and
// done, how long POST /prompt takes, and what the server holds on to. It knows the server only by its HTTP interface.
package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Feed describes the load to send.
type Feed struct {
	// URL is the server's, without a slash at the end.
	URL string
	// Prompts is the number of prompts, sent from Clients clients at the same time.
	Prompts, Clients int
	// Distinct is the number of different prompts; after the first round the rest come from the server's cache.
	Distinct int
	// Waiting is the most prompts that wait at a time; 0 means no bound.
	Waiting int
	// Every is called with the number of prompts sent so far, now and then; it may be nil.
	Every func(sent int)
}

// Times are the durations of requests.
type Times []time.Duration

// At is the duration that the part p (0…1) of the requests stayed within.
func (t Times) At(p float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// Prompt is a workflow of two trivial nodes, different for every n.
func Prompt(n int) map[string]any {
	return map[string]any{
		"1": map[string]any{"class_type": "PrimitiveInt", "inputs": map[string]any{"value": n}},
		"2": map[string]any{"class_type": "PreviewAny", "inputs": map[string]any{"source": []any{"1", 0}}},
	}
}

// Send sends the prompts and returns how long each request took.
func (f Feed) Send(ctx context.Context) (Times, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := &http.Transport{MaxIdleConnsPerHost: f.Clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var next atomic.Int64
	took := make([]Times, f.Clients)
	var all sync.WaitGroup
	for c := range f.Clients {
		all.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= f.Prompts || ctx.Err() != nil {
					return
				}
				d, err := f.one(ctx, client, c, n)
				if err != nil {
					cancel(err)
					return
				}
				took[c] = append(took[c], d)
			}
		})
	}
	all.Wait()
	return slices.Concat(took...), context.Cause(ctx)
}

func (f Feed) one(ctx context.Context, client *http.Client, c, n int) (time.Duration, error) {
	const look = 100 // how often the number of waiting prompts is looked at
	if f.Waiting > 0 && n%look == 0 {
		if err := waitFor(ctx, client, f.URL, f.Waiting); err != nil {
			return 0, err
		}
	}
	if f.Every != nil && n%look == 0 {
		f.Every(n)
	}
	body, err := json.Marshal(map[string]any{"prompt": Prompt(n % max(1, f.Distinct)), "client_id": fmt.Sprintf("load-%d", c)})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	err = request(ctx, client, http.MethodPost, f.URL+"/prompt", body, nil)
	return time.Since(start), err
}

// Drained waits until no prompt remains.
func Drained(ctx context.Context, url string) error { return waitFor(ctx, http.DefaultClient, url, 0) }

func waitFor(ctx context.Context, client *http.Client, url string, most int) error {
	for {
		var state struct {
			Info struct {
				Remaining int `json:"queue_remaining"`
			} `json:"exec_info"`
		}
		if err := request(ctx, client, http.MethodGet, url+"/prompt", nil, &state); err != nil {
			return err
		}
		if state.Info.Remaining <= most {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

func request(ctx context.Context, client *http.Client, method, url string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: %s: %s", url, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// Post sends an empty POST request.
func Post(ctx context.Context, url string) error {
	return request(ctx, http.DefaultClient, http.MethodPost, url, nil, nil)
}

// Health holds the fields of GET /health that a soak checks.
type Health struct {
	Process struct {
		Goroutines int   `json:"goroutines"`
		HeapBytes  int64 `json:"heap_bytes"`
	} `json:"process"`
}

// GetHealth reads it.
func GetHealth(ctx context.Context, url string) (h Health, err error) {
	return h, request(ctx, http.DefaultClient, http.MethodGet, url+"/health", nil, &h)
}

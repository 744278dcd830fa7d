package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/server"
)

// BenchmarkAuthentication measures the cost of authentication: the same request to servers without it,
// that have a list of keys, and a store with few and with ten thousand keys. p50-ns is the median of one request, from
// the router to the answer, without the network.
func BenchmarkAuthentication(b *testing.B) {
	keys, err := auth.NewKeys([]string{theKey}, nil)
	if err != nil {
		b.Fatal(err)
	}
	few, fewKey := benchStore(b, 10)
	many, manyKey := benchStore(b, 10000)
	for _, c := range []struct {
		name, key string
		gate      auth.Gate
	}{
		{"off", "", auth.Open{}},
		{"keys", theKey, auth.NewKeyring(keys, auth.KeyringOptions{})},
		{"store", fewKey, few},
		{"store with 10000 keys", manyKey, many},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := benchServer(b, c.gate)
			r := httptest.NewRequest("GET", "/prompt", nil)
			if c.key != "" {
				r.Header.Set("X-API-Key", c.key)
			}
			times := make([]time.Duration, 0, 1<<20)
			ask := func() {
				w := httptest.NewRecorder()
				begun := time.Now()
				h.ServeHTTP(w, r)
				took := time.Since(begun)
				if w.Code != 200 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
				times = append(times, took)
			}
			ask() // the first one pays for Argon2id
			times = times[:0]
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

// benchStore is a store with a number of keys, and one of them.
func benchStore(b *testing.B, n int) (*auth.Store, string) {
	b.Helper()
	ctx := context.Background()
	no := auth.Limits{Requests: 1e9, RequestsBurst: 1e9}
	s, err := auth.OpenStore(ctx, auth.StoreOptions{
		Path: filepath.Join(b.TempDir(), "auth.db"), Hash: auth.HashParameters{Passes: 1, Memory: 8, Threads: 1}, Address: no,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if _, err := s.SetLimits(ctx, byAdmin, auth.RoleUser, no); err != nil {
		b.Fatal(err)
	}
	var last auth.Key
	for u := range 10 {
		name := fmt.Sprintf("user %d", u)
		if _, err := s.CreateUser(ctx, byAdmin, name, auth.RoleUser); err != nil {
			b.Fatal(err)
		}
		for range n / 10 {
			if last, err = s.CreateKey(ctx, byAdmin, auth.KeySpec{Name: "k", User: name}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s, last.Secret
}

func benchServer(b *testing.B, gate auth.Gate) http.Handler {
	b.Helper()
	f, err := folders.New(folders.Config{Base: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ex := executor.New(executor.Config{Registry: nodes.NewRegistry(), Services: nodes.Services{Folders: f}})
	s, err := server.New(server.Config{Folders: f, Executor: ex, Auth: gate})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s.Handler()
}

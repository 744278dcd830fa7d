package app_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comfygo/app"
	"comfygo/cli"
	"comfygo/queue"
)

func TestQueuePolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		words []string
		want  queue.Policy
		bad   bool
	}{
		{want: queue.Policy{HistoryLimit: 10000, OnRestart: queue.RestartRetry, Weights: map[string]float64{}}},
		{
			words: []string{"--queue-keep", "0", "--queue-keep-days", "0.5", "--job-time-limit", "1.5", "--queue-on-restart", "interrupt"},
			want: queue.Policy{
				HistoryLimit: 1, HistoryAge: 12 * time.Hour, TimeLimit: 1500 * time.Millisecond,
				OnRestart: queue.RestartInterrupt, Weights: map[string]float64{},
			},
		},
		{
			words: []string{"--queue-fair", "--queue-weight", "a=b=2.5", "--queue-weight", "c=1", "--queue-limit", "7", "--queue-client-limit", "3"},
			want: queue.Policy{
				HistoryLimit: 10000, OnRestart: queue.RestartRetry, Fair: true, Limit: 7, ClientLimit: 3,
				Weights: map[string]float64{"a=b": 2.5, "c": 1},
			},
		},
		{words: []string{"--queue-weight", "a"}, bad: true},
		{words: []string{"--queue-weight", "=1"}, bad: true},
		{words: []string{"--queue-weight", "a=0"}, bad: true},
		{words: []string{"--queue-weight", "a=NaN"}, bad: true},
	}
	for _, tt := range tests {
		cfg, err := cli.Parse(tt.words...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := app.QueuePolicy(cfg)
		if (err != nil) != tt.bad {
			t.Errorf("%q: %v", tt.words, err)
		}
		if diff := cmp.Diff(tt.want, got); !tt.bad && diff != "" {
			t.Errorf("%q: %s", tt.words, diff)
		}
	}
}

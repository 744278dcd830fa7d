package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"comfygo/internal/apiclient"
)

// What -overhead runs.
const (
	passes = 20
	tiny   = 1000
)

// overhead runs the same prompts on both servers by turns and prints the wall times and their ratios.
func overhead(ctx context.Context, o options, out io.Writer) error {
	real, ours := &apiclient.Client{Base: o.real}, &apiclient.Client{Base: o.ours}
	seed := int(time.Now().UnixNano() % 1_000_000 * 2) // no result of an earlier run may be in the caches
	fmt.Fprintln(out, "| prompt | real, ms | ours, ms | ratio of medians |")
	fmt.Fprintln(out, "|---|---|---|---|")
	for _, c := range []struct {
		name string
		make func(seed int) map[string]node
		time func(ctx context.Context, c *apiclient.Client, nodes map[string]node, limit time.Duration) (time.Duration, error)
	}{
		{fmt.Sprintf("%d nodes hand on 8x1024x1024x3", passes), handOn, timed},
		{fmt.Sprintf("%d nodes, each by itself, no client listens", tiny), wide, unheard},
		{fmt.Sprintf("%d nodes in 20 chains, no client listens", tiny), chains, unheard},
		{fmt.Sprintf("%d nodes, each by itself, a client listens", tiny), wide, timed},
	} {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		var took [2][]time.Duration
		for round := range o.rounds + 1 {
			for side, client := range []*apiclient.Client{real, ours} {
				seed += 2 * tiny
				d, err := c.time(ctx, client, c.make(seed), o.limit)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", client.Base, c.name, err)
				}
				if round > 0 { // the first warms up
					took[side] = append(took[side], d)
				}
			}
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		a, b := took[0][len(took[0])/2], took[1][len(took[1])/2]
		fmt.Fprintf(out, "| %s | %s | %s | %.2f |\n", c.name, spread(took[0], a), spread(took[1], b), float64(b)/float64(a))
	}
	return nil
}

func spread(sorted []time.Duration, median time.Duration) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.0f (%.0f to %.0f)", ms(median), ms(sorted[0]), ms(sorted[len(sorted)-1]))
}

// timed runs a prompt with a client that listens and returns the time from its request to the message that it has ended.
func timed(ctx context.Context, c *apiclient.Client, nodes map[string]node, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	const id = "packcheck"
	s, err := c.Dial(ctx, id)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	start, end := time.Now(), time.Time{}
	r, err := c.Follow(ctx, s, id, nodes, func(m apiclient.Message) { end = time.Now() })
	if err != nil {
		return 0, err
	}
	if f := r.Failure(); f != nil {
		return 0, fmt.Errorf("%s: %s", f.Type, f.Message)
	}
	var places []int
	if raw, ok := r.Outputs["end"]["places"]; ok && (json.Unmarshal(raw, &places) != nil || len(places) != 1 || places[0] != 1) {
		return 0, fmt.Errorf("the tensor was copied: it lay at %s places", raw)
	}
	return end.Sub(start), nil
}

// unheard runs a prompt for no client and returns the time between the messages of its start and of its end.
func unheard(ctx context.Context, c *apiclient.Client, nodes map[string]node, limit time.Duration) (time.Duration, error) {
	o, err := run(ctx, &side{Client: *c}, nodes, limit)
	if err != nil {
		return 0, err
	}
	if !o.ok() {
		return 0, errors.New(o.said())
	}
	at := map[string]int64{}
	for _, m := range o.result.Status.Messages {
		var name string
		var when struct {
			Timestamp int64 `json:"timestamp"`
		}
		if len(m) == 2 && json.Unmarshal(m[0], &name) == nil && json.Unmarshal(m[1], &when) == nil {
			at[name] = when.Timestamp
		}
	}
	return time.Duration(at["execution_success"]-at["execution_start"]) * time.Millisecond, nil
}

func handOn(seed int) map[string]node {
	nodes := map[string]node{"0": {"PackcheckTensor", map[string]any{"seed": seed, "batch": 8, "side": 1024}}}
	for i := range passes {
		nodes[strconv.Itoa(i+1)] = node{"PackcheckPass", map[string]any{"image": [2]any{strconv.Itoa(i), 0}}}
	}
	nodes["end"] = node{"PackcheckEnd", map[string]any{"image": [2]any{strconv.Itoa(passes), 0}}}
	return nodes
}

func wide(seed int) map[string]node {
	nodes := map[string]node{}
	for i := range tiny {
		nodes[strconv.Itoa(i)] = node{"PackcheckTiny", map[string]any{"value": seed + i}}
	}
	return nodes
}

func chains(seed int) map[string]node {
	nodes := map[string]node{}
	for i := range tiny {
		var value any = seed + i
		if i%(tiny/20) != 0 {
			value = [2]any{strconv.Itoa(i - 1), 0}
		}
		nodes[strconv.Itoa(i)] = node{"PackcheckTiny", map[string]any{"value": value}}
	}
	return nodes
}

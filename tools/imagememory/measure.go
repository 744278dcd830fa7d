package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
)

// meter is a budget that grants everything and remembers the most that was reserved at a time.
type meter struct{ now, most int64 }

// Reserve implements imaging.Budget.
func (m *meter) Reserve(_ context.Context, _ string, n int64) (func(), error) {
	m.now += n
	m.most = max(m.most, m.now)
	return func() { m.now -= n }, nil
}

// measure runs one step and prints what was reserved and by how much the resident set has grown at its peak.
func measure(step, file string) error {
	if err := warmUp(step, file); err != nil {
		return err
	}
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // sets VmHWM to VmRSS
		return err
	}
	before, err := status("VmRSS")
	if err != nil {
		return err
	}
	m := &meter{}
	if err := do(step, file, m); err != nil {
		return err
	}
	after, err := status("VmHWM")
	if err != nil {
		return err
	}
	fmt.Println(m.most, after-before)
	return nil
}

// warmUp runs the step on a small file of the kind, so that one-time allocations do not count.
func warmUp(step, file string) error {
	kind, _, _ := strings.Cut(file[strings.LastIndexByte(file, '/')+1:], "_")
	small := file + ".small"
	if err := make0(small, kind, 64, 64); err != nil {
		return err
	}
	defer os.Remove(small) //nolint:errcheck // a temporary file
	return do(step, small, &meter{})
}

func do(step, file string, m *meter) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	ctx := context.Background()
	limits := codec.DefaultLimits
	source := imaging.Source{Data: data, Limits: limits, Budget: m}
	switch step {
	case "load":
		_, err := imaging.Load(ctx, data, limits, m)
		return err
	case "preview":
		return source.Preview(ctx, io.Discard, "webp", 90, false)
	case "channel":
		return source.Channel(ctx, io.Discard, "rgb")
	case "mask":
		mask := bytes.Clone(data)
		return source.Mask(ctx, io.Discard, imaging.Source{Data: mask, Limits: limits, Budget: m}, "png", nil)
	}
	return fmt.Errorf("there is no step %q", step)
}

// status reads a size of the process in bytes.
func status(key string) (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("there is no %s", key)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/ortlib"
)

// measure runs one case and prints it.
func measure(ctx context.Context, o options, path string, m measurement) error {
	rt := engine.New(engine.Config{
		Library: func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Threads: o.threads, Lean: true, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	defer rt.Close()
	if err := rt.Open(); err != nil {
		return err
	}
	src, err := weights.Open(path)
	if err != nil {
		return err
	}
	f := family.Open(family.Default, src)
	var once func(shape []int, tokens int) error
	switch m.Part {
	case "diffusion":
		once, err = diffusion(ctx, rt, f, path, &m)
	case "text":
		once, err = text(ctx, rt, path, o.kind, &m)
	default:
		once, err = vae(ctx, rt, f, path, &m)
	}
	if err != nil {
		return err
	}
	if o.dry {
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	debug.SetGCPercent(5)
	ort.TrimMemory()
	debug.FreeOSMemory()
	before := anonymous()
	peak, stop := watch()
	err = once(m.Shape, m.Tokens)
	stop()
	if err != nil {
		return err
	}
	m.Peak = peak.Load() - before
	if m.Part == "text" { // the runtime estimates these runs itself
		for _, d := range rt.Stats().Devices {
			m.Estimate += d.Peak
		}
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func diffusion(ctx context.Context, rt *engine.Runtime, f *family.File, path string, m *measurement) (func([]int, int) error, error) {
	model, err := rt.LoadModel(path, dtype.Invalid)
	if err != nil {
		return nil, err
	}
	net, _, err := f.Diffusion()
	if err != nil {
		return nil, err
	}
	format := net.Latent()
	m.Shape[1] = format.Channels
	if !format.Video {
		m.Shape = append(m.Shape[:2], m.Shape[3:]...)
	}
	if s, ok := net.(family.Staged); ok { // its first stage has a size of its own
		m.Shape = append(m.Shape[:1], s.Stages()[0].Shape[1:]...)
	}
	entry, err := dryrun.Entry(ctx, net)
	if err != nil {
		return nil, err
	}
	m.Estimate = net.Memory(m.Shape, m.Tokens)
	return func(shape []int, tokens int) error {
		c := *entry
		c.Tokens = tensor.New(1, tokens, entry.Tokens.Dim(2))
		in, err := net.Inputs(&c, sampling.Request{Shape: shape, Latent: tensor.New(shape...), Format: format})
		if err != nil {
			return err
		}
		for i := range in {
			in[i].Value = repeated(in[i].Value, shape[0])
		}
		x, t := tensor.New(shape...), make([]float32, shape[0])
		for i := range x.Data {
			x.Data[i] = float32(i%17)/8 - 1
		}
		_, err = model.Predict(ctx, x, t, sampling.Inputs{List: in})
		return err
	}, nil
}

// repeated repeats the row of an input.
func repeated(x *tensor.Tensor, rows int) *tensor.Tensor {
	if x == nil || len(x.Shape) == 0 || x.Dim(0) != 1 {
		return x
	}
	out := tensor.New(append([]int{rows}, x.Shape[1:]...)...)
	for i := range rows {
		copy(out.Index(i).Data, x.Data)
	}
	return out
}

func vae(ctx context.Context, rt *engine.Runtime, f *family.File, path string, m *measurement) (func([]int, int) error, error) {
	model, err := rt.LoadVAE(path)
	if err != nil {
		return nil, err
	}
	net, err := f.VAE()
	if err != nil {
		return nil, err
	}
	if net == nil {
		return nil, errors.New("the file holds no VAE")
	}
	info := net.Info()
	if m.Part == "decode" {
		m.Shape[1] = info.Channels
		if !info.Video {
			m.Shape = append(m.Shape[:2], m.Shape[3:]...)
		}
		m.Estimate = net.DecodeMemory(m.Shape)
		return func(shape []int, _ int) error {
			_, err := model.Decode(ctx, tensor.New(shape...))
			return err
		}, nil
	}
	m.Shape = []int{m.Shape[0] * m.Shape[2], 3, m.Shape[3], m.Shape[4]}
	m.Estimate = net.EncodeMemory(m.Shape)
	return func(shape []int, _ int) error {
		_, err := model.Encode(ctx, tensor.New(shape[0], shape[2], shape[3], shape[1]))
		return err
	}, nil
}

// text encodes prompts of a word that is one token to most tokenizers. The shape is that of the encoding.
func text(ctx context.Context, rt *engine.Runtime, path, kind string, m *measurement) (func([]int, int) error, error) {
	clip, err := rt.LoadCLIP(kind, path)
	if err != nil {
		return nil, err
	}
	return func(_ []int, tokens int) error {
		c, err := clip.Encode(ctx, strings.Repeat(" a", tokens))
		if err != nil {
			return err
		}
		m.Shape = c[0].Tokens.Shape
		return nil
	}, nil
}

// anonymous is the anonymous memory of this process in bytes.
func anonymous() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(raw), &size, &resident, &shared); err != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// watch samples the anonymous memory repeatedly and keeps the maximum.
func watch() (peak *atomic.Int64, stop func()) {
	peak = new(atomic.Int64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(ended)
		for {
			if now := anonymous(); now > peak.Load() {
				peak.Store(now)
			}
			select {
			case <-done:
				return
			case <-time.After(500 * time.Microsecond):
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}

package executor_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// trace is a recorded conversation.
type trace struct {
	id, variant string
	order       int64
	metadata    bool
	posts       []any
	messages    []any
	set         bool // the order is not compared
	ignored     []any
	collapse    []any // of these types one message is kept between two others
	without     []any // types that are left out
}

func readTraces(t *testing.T) map[string][]trace {
	t.Helper()
	files, err := filepath.Glob("testdata/traces/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces: %v", err)
	}
	out := map[string][]trace{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		o, err := pyjson.UnmarshalObject(data)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		tr := trace{id: o.String("id"), variant: o.String("variant"), set: o.Object("compare").String("mode") == "set"}
		order, _ := o.Get("order")
		tr.order = order.(int64)
		meta, _ := o.Get("metadata")
		tr.metadata = meta == true
		posts, _ := o.Get("posts")
		tr.posts = posts.([]any)
		messages, _ := o.Get("messages")
		tr.messages = messages.([]any)
		for _, m := range tr.messages { // how an image is coded is not part of the contract
			if img := m.(*pyjson.Object).Object("binary").Object("image"); img != nil {
				for _, k := range []string{"components", "bit_depth", "color", "pixels_sha256"} {
					img.Delete(k)
				}
			}
		}
		for key, list := range map[string]*[]any{"ignore": &tr.ignored, "collapse": &tr.collapse, "ignore_types": &tr.without} {
			if v, ok := o.Object("compare").Get(key); ok {
				*list = v.([]any)
			}
		}
		out[tr.variant] = append(out[tr.variant], tr)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b trace) int { return int(a.order - b.order) })
	}
	return out
}

var caches = map[string]executor.CacheConfig{
	"default": {}, "cacheclassic": {Kind: executor.CacheClassic}, "cachelru": {Kind: executor.CacheLRU, Size: 2}, "cachenone": {Kind: executor.CacheNone},
}

// TestRecordedTraces runs the recorded prompts, those of a variant one after the other on one executor, and compares all messages.
func TestRecordedTraces(t *testing.T) {
	t.Parallel()
	for variant, list := range readTraces(t) {
		config, known := caches[variant]
		if !known {
			t.Fatalf("unknown variant %s", variant)
		}
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			ex := executor.New(executor.Config{Registry: registry(t), Cache: config})
			for _, tr := range list {
				t.Run(tr.id, func(t *testing.T) { replay(t, ex, tr) })
			}
		})
	}
}

func replay(t *testing.T, ex *executor.Executor, tr trace) {
	var got []any
	for _, p := range tr.posts {
		job := accept(t, ex, p.(*pyjson.Object).Clone())
		ex.Run(t.Context(), job, executor.SinkFunc(func(e executor.Event) {
			m, err := message(e, tr.metadata)
			if err != nil {
				t.Error(err)
			}
			if m != nil {
				got = append(got, m)
			}
		}))
	}
	want := tr.messages
	got = thin(got, tr.collapse, tr.without)
	if tr.set {
		want, got = sorted(want), sorted(got)
	}
	if len(tr.ignored) > 0 { // the state of all nodes depends on the order of a set
		want, got = kinds(want), kinds(got)
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Fatalf("message %d is missing: %s", i, show(want[i]))
		case i >= len(want):
			t.Fatalf("message %d is too much: %s", i, show(got[i]))
		}
		if d := differ(fmt.Sprintf("message %d", i), want[i], got[i], false); d != "" {
			t.Fatalf("%s\nwant %s\nhave %s", d, show(want[i]), show(got[i]))
		}
	}
}

// thin leaves out what a trace does not compare.
func thin(list, collapse, without []any) []any {
	var out []any
	seen := map[any]bool{}
	for _, m := range list {
		typ, _ := m.(*pyjson.Object).Get("type")
		switch {
		case slices.Contains(without, typ), seen[typ]:
			continue
		case slices.Contains(collapse, typ):
			seen[typ] = true
		default:
			clear(seen)
		}
		out = append(out, m)
	}
	return out
}

func kinds(list []any) []any {
	var out []any
	for _, m := range list {
		out = append(out, m.(*pyjson.Object).String("type"))
	}
	return sorted(out)
}

// accept validates a body of POST /prompt and makes a job of it.
func accept(t testing.TB, ex *executor.Executor, body *pyjson.Object) executor.Job {
	t.Helper()
	targets, _ := body.Get("partial_execution_targets")
	prompt := body.Object("prompt")
	v, err := ex.Validate(context.Background(), body.String("prompt_id"), prompt, targets)
	if err != nil || !v.OK {
		t.Fatalf("refused: %v %s %s", err, show(v.Error), show(v.NodeErrors))
	}
	extra := body.Object("extra_data")
	if extra == nil {
		extra = pyjson.NewObject()
	}
	if id, ok := body.Get("client_id"); ok {
		extra.Set("client_id", id)
	}
	return executor.Job{ID: body.String("prompt_id"), Prompt: prompt, ExtraData: extra, Outputs: v.Outputs}
}

// message is an event in the form of the corpus; nil for the form of a preview that the client does not get.
func message(e executor.Event, metadata bool) (any, error) {
	switch e.Type {
	case executor.EventText:
		id := e.Data.String("node")
		return reread(pyjson.NewObject("binary", pyjson.NewObject("event", 3, "name", "TEXT", "node_id_length", len(id), "node_id", id, "text", e.Data.String("text"))))
	case executor.EventPreview, executor.EventPreviewMetadata:
		if metadata != (e.Type == executor.EventPreviewMetadata) {
			return nil, nil
		}
		return traced(e)
	}
	return reread(pyjson.NewObject("type", e.Type, "data", e.Data))
}

func traced(e executor.Event) (any, error) {
	data, err := e.Preview.Bytes()
	if err != nil {
		return nil, err
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	o := pyjson.NewObject("event", 1, "name", "PREVIEW_IMAGE", "image_type", e.Preview.TypeNumber())
	if e.Data != nil {
		mime, _, err := e.Preview.Described()
		if err != nil {
			return nil, err
		}
		o = pyjson.NewObject("event", 4, "name", "PREVIEW_IMAGE_WITH_METADATA", "metadata", e.Data.Clone().Set("image_type", mime))
	}
	seen := pyjson.NewObject("format", strings.ToUpper(format), "width", c.Width, "height", c.Height)
	return reread(pyjson.NewObject("binary", o.Set("image", seen).Set("image_bytes", len(data))))
}

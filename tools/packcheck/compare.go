package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // formats of previews
	_ "image/jpeg"
	_ "image/png"
	"math"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"comfygo/internal/apiclient"
)

// outcome is the result of a prompt on a server.
type outcome struct {
	result  apiclient.Result
	refused string             // why the prompt was not taken
	failed  *apiclient.Failure // of its run
	late    bool
}

func (o *outcome) ok() bool { return o.refused == "" && o.failed == nil && !o.late }

// said is the failure in one line.
func (o *outcome) said() string {
	switch {
	case o.late:
		return "does not end in time"
	case o.refused != "":
		return "refused: " + o.refused
	case o.failed != nil:
		return fmt.Sprintf("%s: %s", o.failed.Type, o.failed.Message)
	}
	return ""
}

// side is a server. Paths of its own base folder are compared as those of the other.
type side struct {
	apiclient.Client
	own, other string
}

func (s *side) renamed(text string) string {
	if s.own == "" {
		return text
	}
	return strings.ReplaceAll(text, s.own, s.other)
}

// rename makes a server's output comparable.
func (s *side) rename(o *outcome) {
	o.refused = s.renamed(o.refused)
	if o.failed != nil {
		o.failed.Message = s.renamed(o.failed.Message)
	}
	for _, kinds := range o.result.Outputs {
		for kind, raw := range kinds {
			kinds[kind] = json.RawMessage(s.renamed(string(raw)))
		}
	}
}

// run runs a prompt to its end.
func run(ctx context.Context, c *side, nodes map[string]node, limit time.Duration) (*outcome, error) {
	o := &outcome{}
	defer func() { c.rename(o) }()
	id, err := c.Queue(ctx, nodes, "")
	var status *apiclient.StatusError
	if errors.As(err, &status) && status.Code == 400 {
		o.refused = refusal(status.Body)
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	start, asked := time.Now(), false
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		time.Sleep(pause)
		r, ok, err := c.History(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			o.result, o.failed = r, r.Failure()
			o.late = asked
			return o, nil
		}
		if took := time.Since(start); took > limit && !asked {
			asked = true
			if err := c.Post(ctx, "/interrupt", nil, nil); err != nil {
				return nil, err
			}
		} else if took > 5*limit {
			return nil, fmt.Errorf("%s does not end prompt %s", c.Base, id)
		}
	}
}

func refusal(body []byte) string {
	var a struct {
		Error struct{ Message, Details string } `json:"error"`
		Nodes map[string]struct {
			Errors []struct{ Message, Details string } `json:"errors"`
			Class  string                              `json:"class_type"`
		} `json:"node_errors"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return string(body)
	}
	for _, n := range a.Nodes {
		for _, e := range n.Errors {
			return fmt.Sprintf("%s: %s: %s", n.Class, e.Message, e.Details)
		}
	}
	return a.Error.Message + ": " + a.Error.Details
}

// bounds are the allowed differences of numbers and pixels. In packs the same Python computes both, but images cross from 8 bits
// through other decoders.
type bounds struct {
	value  float64 // of the greatest of a list
	pixels int
}

var packBounds = bounds{value: 1e-5}

// differences compares the results of two servers; the texts name the differences.
func (w bounds) differences(ctx context.Context, a, b *side, ra, rb *apiclient.Result) ([]string, error) {
	var out []string
	for id, kinds := range ra.Outputs {
		for kind, raw := range kinds {
			other, ok := rb.Outputs[id][kind]
			if !ok {
				out = append(out, fmt.Sprintf("node %s: no %s", id, kind))
				continue
			}
			if kind == "described" {
				if text := w.probed(raw, other); text != "" {
					out = append(out, fmt.Sprintf("node %s: %s", id, text))
				}
				continue
			}
			text, err := w.shown(ctx, a, b, raw, other)
			if err != nil {
				return nil, err
			}
			if text != "" {
				out = append(out, fmt.Sprintf("node %s: %s: %s", id, kind, text))
			}
		}
	}
	for id, kinds := range rb.Outputs {
		for kind := range kinds {
			if _, ok := ra.Outputs[id][kind]; !ok {
				out = append(out, fmt.Sprintf("node %s: %s, which the real server does not show", id, kind))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func (w bounds) probed(a, b json.RawMessage) string {
	var ta, tb []string
	if json.Unmarshal(a, &ta) != nil || json.Unmarshal(b, &tb) != nil || len(ta) != len(tb) {
		return "not the probe's form"
	}
	for i := range ta {
		var va, vb any
		if json.Unmarshal([]byte(ta[i]), &va) != nil || json.Unmarshal([]byte(tb[i]), &vb) != nil {
			if ta[i] != tb[i] {
				return fmt.Sprintf("%.200s, not %.200s", tb[i], ta[i])
			}
			continue
		}
		if text := w.unequal("", va, vb, 1); text != "" {
			return text
		}
	}
	return ""
}

// unequal compares values of the probe; "" means equal.
func (w bounds) unequal(at string, a, b any, scale float64) string {
	switch a := a.(type) {
	case float64:
		n, ok := b.(float64)
		if !ok || math.Abs(a-n) > w.value*max(scale, math.Abs(a)) {
			return fmt.Sprintf("%s: %v, not %v", at, b, a)
		}
		return ""
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			return fmt.Sprintf("%s: %.200s, not %.200s", at, fmt.Sprint(b), fmt.Sprint(a))
		}
		for i := range a {
			if text := w.unequal(fmt.Sprintf("%s[%d]", at, i), a[i], l[i], greatest(a)); text != "" {
				return text
			}
		}
		return ""
	case map[string]any:
		o, ok := b.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: %.200s, not %.200s", at, fmt.Sprint(b), fmt.Sprint(a))
		}
		if a["sum"] != nil && a["sum"] == o["sum"] {
			return "" // the same bytes, of the same shape by the rest of the line
		}
		for k, v := range a {
			if k == "sum" {
				continue
			}
			if text := w.unequal(at+"."+k, v, o[k], 1); text != "" {
				return text
			}
		}
		for k := range o {
			if _, ok := a[k]; !ok {
				return fmt.Sprintf("%s.%s is one more", at, k)
			}
		}
		return ""
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("%s: %.200s, not %.200s", at, fmt.Sprint(b), fmt.Sprint(a))
	}
	return ""
}

// shown compares the values that nodes show in their ui: files by their contents, the rest as JSON.
func (w bounds) shown(ctx context.Context, a, b *side, ra, rb json.RawMessage) (string, error) {
	var fa, fb []apiclient.File
	if json.Unmarshal(ra, &fa) == nil && json.Unmarshal(rb, &fb) == nil && len(fa) > 0 && fa[0].Name != "" {
		if len(fa) != len(fb) {
			return fmt.Sprintf("%d files, not %d", len(fb), len(fa)), nil
		}
		for i := range fa {
			text, err := w.files(ctx, a, b, fa[i], fb[i])
			if text != "" || err != nil {
				return text, err
			}
		}
		return "", nil
	}
	var va, vb any
	if json.Unmarshal(ra, &va) != nil || json.Unmarshal(rb, &vb) != nil {
		return "not JSON", nil
	}
	return w.unequal("", va, vb, 1), nil
}

func (w bounds) files(ctx context.Context, a, b *side, fa, fb apiclient.File) (string, error) {
	if path.Ext(fa.Name) != path.Ext(fb.Name) || fa.Type != fb.Type {
		return fmt.Sprintf("the file %s (%s), not %s (%s)", fb.Name, fb.Type, fa.Name, fa.Type), nil
	}
	da, errA := a.View(ctx, fa)
	db, errB := b.View(ctx, fb)
	if errA != nil || errB != nil {
		if errA != nil && errB != nil {
			return "", nil // no file that a client could get
		}
		return fmt.Sprintf("%s: real: %v, ours: %v", fa.Name, errA, errB), nil
	}
	if bytes.Equal(da, db) {
		return "", nil
	}
	ia, _, errA := image.Decode(bytes.NewReader(da))
	ib, _, errB := image.Decode(bytes.NewReader(db))
	if errA != nil || errB != nil {
		return fmt.Sprintf("%s: %d other bytes than the real server's %d", fa.Name, len(db), len(da)), nil
	}
	if ia.Bounds() != ib.Bounds() {
		return fmt.Sprintf("%s: %v, not %v", fa.Name, ib.Bounds(), ia.Bounds()), nil
	}
	most := 0
	for y := ia.Bounds().Min.Y; y < ia.Bounds().Max.Y; y++ {
		for x := ia.Bounds().Min.X; x < ia.Bounds().Max.X; x++ {
			p, q := color.NRGBAModel.Convert(ia.At(x, y)).(color.NRGBA), color.NRGBAModel.Convert(ib.At(x, y)).(color.NRGBA)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B), int(p.A) - int(q.A)} {
				most = max(most, d, -d)
			}
		}
	}
	if most > w.pixels {
		return fmt.Sprintf("%s: pixels differ by up to %d", fa.Name, most), nil
	}
	return "", nil
}

//go:build unix

package tests_test

import (
	"math"
	"strings"
	"testing"
)

// TestPackAttacks runs a pack that attacks the server through the connection to its process: the node fails, or nothing happens, and the next job runs.
func TestPackAttacks(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"attacker", "twin", "plain"})
	type inputs = map[string]any
	forged := func(answer inputs) map[string]any {
		return map[string]any{"1": packNode("AttackForges", inputs{"answer": answer})}
	}
	values := func(v ...any) inputs { return inputs{"ok": true, "values": v} }
	handle := func(more inputs) inputs {
		h := inputs{"$": "handle", "id": 987654321, "type": "torch.Tensor", "kind": "tensor", "bytes": 64, "shape": []int{1, 8, 8, 3}}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	native := func(answer inputs) map[string]any { // a class of the program takes the value
		n := forged(answer)
		n["2"] = n["1"]
		n["1"] = packNode("ImageInvert", inputs{"image": link("2", 0)})
		return n
	}
	for _, c := range []struct {
		name  string
		nodes map[string]any
		want  string // what is shown
		fails string // part of the error's message; "*" for any
	}{
		{"opens the socket again while it is imported", map[string]any{"1": packNode("AttackDuringImport", inputs{})}, "opened", ""}, // and is never heard
		{"opens the socket again", map[string]any{"1": packNode("AttackSocket", inputs{})}, "refused", ""},
		{"a frame of 4 GiB", map[string]any{"1": packNode("AttackFrame", inputs{"length": math.MaxUint32})}, "", "over the limit"},
		{"a frame that is no JSON", map[string]any{"1": packNode("AttackFrame", inputs{"length": 4096})}, "", "Python process has ended"},
		{"a frame without an end", map[string]any{"1": packNode("AttackNested", inputs{"depth": 1 << 20})}, "", "nested too deeply"},
		{"a text in place of an object", map[string]any{"1": packNode("AttackSends", inputs{"text": `"text"`})}, "", "Python process has ended"},
		{"ready for a second time", map[string]any{"1": packNode("AttackSends", inputs{"text": `{"op": "ready"}`})}, "sent", ""},
		{"an answer that was not asked for", map[string]any{"1": packNode("AttackSends", inputs{"text": `{"id": 99999999, "ok": true}`})}, "sent", ""},
		{"notices without their fields", map[string]any{"1": packNode("AttackSends", inputs{"text": `{"op": "progress"}`})}, "sent", ""},
		{"a notice of forms that are wrong", map[string]any{"1": packNode("AttackSends", inputs{"text": `{"op": "event", "event": 5, "data": [[]], "client": {}}`})}, "sent", ""},
		{"memory of a GPU below nothing", map[string]any{"1": packNode("AttackSends", inputs{"text": `{"op": "memory", "gpu": -1e300}`})}, "sent", ""},
		{"a forged handle for Python", forged(values(handle(nil))), "", "is not held"},
		{"a forged handle for a class of the program", native(values(handle(nil))), "", "*"},
		{"a forged handle of a shape that nothing holds", native(values(handle(inputs{"shape": []int{1 << 40, 1 << 40}, "bytes": -1}))), "", "*"},
		{"a forged handle without anything", forged(values(inputs{"$": "handle"})), "", "*"},
		{"a tensor in a file of the system", native(values(inputs{"$": "tensor", "file": "/etc/passwd", "shape": []int{1, 1, 1, 1}})), "", "*"},
		{"no values", forged(inputs{"ok": true}), "", "*"},
		{"values of a wrong form", forged(inputs{"ok": true, "values": 5}), "", "*"},
		{"an expansion of a wrong form", forged(inputs{"ok": true, "values": []any{1}, "expand": inputs{"x": 5}}), "", "*"},
		{"an error without anything", forged(inputs{"ok": false}), "", "*"},
		{"a client that writes a handle", map[string]any{"1": packNode("AttackTold", inputs{"value": inputs{"$": "handle", "id": 1}})}, "dict {'$': 'handle', 'id': 1}", ""},
		{"a flood of messages", map[string]any{"1": packNode("AttackFloods", inputs{"count": 20000})}, "flooded", ""},
		{"two packs with a class of one name", map[string]any{"1": packNode("TwinNode", inputs{})}, "of the twin", ""},
		{"changes its surroundings", map[string]any{"1": packNode("AttackSurroundings", inputs{})}, "changed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := server.run(t, shows(c.nodes, link("1", 0)))
			f := r.Failure()
			switch {
			case c.fails == "" && shown(r) != c.want:
				t.Errorf("shown is %q, want %q; failure %+v", shown(r), c.want, f)
			case c.fails != "" && f == nil:
				t.Errorf("shown is %q, want a failure with %q", shown(r), c.fails)
			case c.fails != "" && c.fails != "*" && !strings.Contains(f.Message, c.fails):
				t.Errorf("the failure is %+v, want one with %q", f, c.fails)
			}
			r = server.run(t, shows(map[string]any{"1": packNode("AttackTold", inputs{"value": c.name})}, link("1", 0)))
			if want := "str " + c.name; shown(r) != want {
				t.Errorf("the job after it shows %q; failure %+v", shown(r), r.Failure())
			}
		})
	}
	t.Run("images after all that", func(t *testing.T) {
		r := server.run(t, map[string]any{
			"1": packNode("PackImage", inputs{"value": 0.25}), "2": packNode("ImageInvert", inputs{"image": link("1", 0)}),
			"3": packNode("PackBright", inputs{"image": link("2", 0), "add": -0.25}), "4": packNode("PreviewImage", inputs{"images": link("3", 0)}),
		})
		if f := r.Failure(); f != nil || len(r.Files("4", "images")) != 1 {
			t.Errorf("images do not cross: %+v", f)
		}
	})
}

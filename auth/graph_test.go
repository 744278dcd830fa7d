package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"comfygo/auth"
)

const portrait = `{"3":{"class_type":"KSampler","inputs":{"seed":18446744073709551615,"steps":20,"cfg":7.5,"model":["4",0],"on":true,"list":[1,2,3]}},
	"4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a.safetensors"}},
	"10":{"class_type":"CLIPTextEncode","inputs":{"text":"a <cat>","clip":["4",1]},"_meta":{"title":"prompt"}}}`

// limited is a store with a registered workflow, and a user whose role may run nothing else.
func limited(t *testing.T) (*auth.Store, auth.Principal) {
	t.Helper()
	s := openStore(t, "", nil)
	put(t, s, auth.Workflow{Name: "portrait", Public: true, Graph: json.RawMessage(portrait), Free: []auth.FreeInput{
		{Name: "prompt", Node: "10", Input: "text"}, {Node: "3", Input: "seed"},
	}})
	return s, authenticate(t, s, makeKey(t, s, "gus", auth.RoleGuest, 0).Secret)
}

func put(t *testing.T, s *auth.Store, w auth.Workflow) {
	t.Helper()
	if _, err := s.PutWorkflow(t.Context(), root, w); err != nil {
		t.Fatal(err)
	}
}

func TestAllowPrompt(t *testing.T) {
	t.Parallel()
	s, p := limited(t)
	for _, c := range []struct{ name, old, new, says string }{
		{"as registered", "", "", ""},
		{"free inputs", `"a <cat>"`, `"another\ntext"`, ""},
		{"free number", "18446744073709551615", "7", ""},
		{"title", `"title":"prompt"`, `"title":"other"`, ""},
		{"the same number", "7.5", "7.50", ""},
		{"the same number", `"steps":20`, `"steps":20.0`, ""},
		{"number", `"steps":20`, `"steps":50`, "node 3 (KSampler): input steps is 50 and not 20"},
		{"number as text", `"steps":20`, `"steps":"20"`, `node 3 (KSampler): input steps is "20" and not 20`},
		{"huge number", `"steps":20`, `"steps":1e999999999`, "input steps is 1e999999999 and not 20"},
		{"truth", `"on":true`, `"on":1`, "input on is 1 and not true"},
		{"list", `[1,2,3]`, `[1,2]`, "input list is [1,2] and not [1,2,3]"},
		{"link", `["4",0]`, `["4",1]`, `input model is ["4",1] and not ["4",0]`},
		{"class", "CheckpointLoaderSimple", "UnsafeLoader", "node 4 is UnsafeLoader and not CheckpointLoaderSimple"},
		{"file", "a.safetensors", "../b.safetensors", `input ckpt_name is "../b.safetensors" and not "a.safetensors"`},
		{"free input linked", `"a <cat>"`, `["4",0]`, "node 10 (CLIPTextEncode): input text may be chosen, but has to be a text and not a link"},
		{"free input a list", `"a <cat>"`, `["x"]`, "has to be a text and not a list"},
		{"free input an object", `"a <cat>"`, `{"__value__":1}`, "has to be a text and not a object"},
		{"free number as text", "18446744073709551615", `"7"`, "has to be a number and not a text"},
		{"input more", `"on":true`, `"on":true,"more":1`, "node 3 (KSampler): input more is one too much"},
		{"input less", `"on":true,`, ``, "node 3 (KSampler): input on is missing"},
		{"node more", `"4":{`, `"11":{"class_type":"SaveImage","inputs":{}},"4":{`, "there is a node 11 (SaveImage) too much"},
		{"node twice", `"4":{"class`, `"4":{"class_type":"Evil","inputs":{}},"4":{"class`, ""}, // the last counts, as everywhere
		{"node renamed", `"10":{`, `"010":{`, "there is a node 010 (CLIPTextEncode) too much"},
		{"member more", `"_meta":`, `"is_changed":"x","_meta":`, "node 10 (CLIPTextEncode) has is_changed, which no workflow has"},
		{"two differences", `"steps":20,"cfg":7.5`, `"steps":21,"cfg":8`, "input cfg is 8 and not 7.5"},
		{"control characters", "a.safetensors", `a\u001b[2J`, `and not "a.safetensors"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			graph := strings.Replace(portrait, c.old, c.new, 1)
			if c.old != "" && graph == portrait {
				t.Fatal("the case changes nothing")
			}
			name, err := s.AllowPrompt(p, []byte(graph))
			var refusal *auth.GraphError
			switch {
			case c.says == "" && (err != nil || name != "portrait"):
				t.Errorf("%q, %v", name, err)
			case c.says != "" && (!errors.As(err, &refusal) || refusal.Workflow != "portrait" || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want %q", err, c.says)
			case c.says != "" && strings.ContainsAny(err.Error(), "\x1b\n"):
				t.Errorf("control characters in %q", err)
			}
		})
	}
	for _, text := range []string{"", "null", "[]", "{", `{"1":7}`, `{"1":{"class_type":7}}`, `{"1":{"inputs":[]}}`, `{} {}`, "\xff", strings.Repeat(`{"a":`, 20000)} {
		if _, err := s.AllowPrompt(p, []byte(text)); err == nil {
			t.Errorf("%.20q is allowed", text)
		}
	}
}

func TestAllowPromptByRole(t *testing.T) {
	t.Parallel()
	s, guest := limited(t)
	other := strings.Replace(portrait, "CheckpointLoaderSimple", "OtherLoader", 1)
	put(t, s, auth.Workflow{Name: "private", Graph: json.RawMessage(other)})
	for _, role := range []string{"registered", "one", "none"} {
		if _, err := s.CreateRole(t.Context(), root, role, ""); err != nil {
			t.Fatal(err)
		}
	}
	grant := func(role, pattern string) {
		t.Helper()
		if _, err := s.Grant(t.Context(), root, role, auth.Grant{Method: "post", Route: "/api/prompt", Workflow: pattern}); err != nil {
			t.Fatal(err)
		}
	}
	grant("registered", auth.RegisteredWorkflow)
	grant("one", "private")
	as := func(role string) auth.Principal { return authenticate(t, s, makeKey(t, s, "u "+role, role, 0).Secret) }
	for _, c := range []struct {
		who               auth.Principal
		portrait, private bool
		free              bool // may run anything
	}{
		{guest, true, false, false},
		{as(auth.RoleUser), true, true, true},
		{as(auth.RoleViewer), false, false, false},
		{as(auth.RoleAdministrator), true, true, true},
		{as("registered"), true, true, false},
		{as("one"), false, true, false},
		{as("none"), false, false, false},
		{auth.Principal{}, false, false, false},
	} {
		for graph, want := range map[string]bool{portrait: c.portrait, other: c.private, `{"1":{"class_type":"X","inputs":{}}}`: c.free} {
			if _, err := s.AllowPrompt(c.who, []byte(graph)); (err == nil) != want {
				t.Errorf("%s, %.60s: %v, want allowed: %v", c.who.Role, graph, err, want)
			}
		}
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	s, p := limited(t)
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for _, c := range []struct {
		inputs map[string]json.RawMessage
		want   string // in the graph, or in the error
		err    error
	}{
		{nil, `"text":"a <cat>"`, nil},
		{map[string]json.RawMessage{"prompt": raw(`"dog"`), "3.seed": raw(`5`)}, `"text":"dog"`, nil},
		{map[string]json.RawMessage{"prompt": raw(`["4",0]`)}, "has to be a text and not a link", auth.ErrInvalid},
		{map[string]json.RawMessage{"prompt": raw(`"x"},"99":{"class_type":"Evil"`)}, "no JSON", auth.ErrInvalid},
		{map[string]json.RawMessage{"steps": raw(`5`)}, "steps is no free input of workflow portrait, which has: prompt, 3.seed", auth.ErrInvalid},
		{map[string]json.RawMessage{"3.seed": nil}, "no JSON", auth.ErrInvalid},
	} {
		graph, err := s.Fill("portrait", c.inputs)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && !strings.Contains(string(graph), c.want) {
			t.Errorf("%s: %s, %v; want %q", c.inputs, graph, err, c.want)
		}
		if err != nil {
			continue
		}
		if name, err := s.AllowPrompt(p, graph); err != nil || name != "portrait" {
			t.Errorf("what was filled in is refused: %v", err)
		}
		if strings.Index(string(graph), `"3":`) > strings.Index(string(graph), `"10":`) {
			t.Errorf("the order of the nodes has changed: %s", graph)
		}
	}
	if _, err := s.Fill("nothing", nil); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("an unknown workflow: %v", err)
	}
}

func TestBadWorkflows(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	graph := json.RawMessage(portrait)
	for name, w := range map[string]auth.Workflow{
		"no name":        {Graph: graph},
		"path as a name": {Name: "../x", Graph: graph},
		"space":          {Name: "a b", Graph: graph},
		"option":         {Name: "-x", Graph: graph},
		"long":           {Name: strings.Repeat("x", 65), Graph: graph},
		"no graph":       {Name: "x"},
		"no object":      {Name: "x", Graph: json.RawMessage(`[]`)},
		"no node":        {Name: "x", Graph: json.RawMessage(`{}`)},
		"UI form":        {Name: "x", Graph: json.RawMessage(`{"nodes":{}}`)},
		"free link":      {Name: "x", Graph: graph, Free: []auth.FreeInput{{Node: "3", Input: "model"}}},
		"free nothing":   {Name: "x", Graph: graph, Free: []auth.FreeInput{{Node: "3", Input: "none"}}},
		"free twice":     {Name: "x", Graph: graph, Free: []auth.FreeInput{{Node: "3", Input: "seed"}, {Name: "y", Node: "3", Input: "seed"}}},
		"hidden name":    {Name: "x", Graph: graph, Free: []auth.FreeInput{{Name: "a\nb", Node: "3", Input: "seed"}}},
	} {
		if _, err := s.PutWorkflow(t.Context(), root, w); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzAllowPrompt(f *testing.F) {
	s := openStore(f, "", nil)
	if _, err := s.PutWorkflow(f.Context(), root, auth.Workflow{Name: "portrait", Public: true, Graph: json.RawMessage(portrait)}); err != nil {
		f.Fatal(err)
	}
	p := authenticate(f, s, makeKey(f, s, "gus", auth.RoleGuest, 0).Secret)
	f.Add([]byte(portrait))
	f.Add([]byte(`{"1":{"class_type":"a","inputs":{"x":[{"y":[1e5]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, err := s.AllowPrompt(p, data)
		if (err == nil) != (name == "portrait") {
			t.Fatalf("%q, %v", name, err)
		}
		if err == nil && !json.Valid(data) {
			t.Fatalf("%q is no JSON and is allowed", data)
		}
	})
}

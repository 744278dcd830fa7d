package app_test

import (
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/demo"
	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

func TestParseWorkflow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, err string
	}{
		{name: "demo", text: string(demo.Workflow)},
		{name: "wrapped", text: `{"prompt": ` + string(demo.Workflow) + `, "client_id": "x"}`},
		{name: "node called prompt", text: `{"prompt": {"class_type": "A", "inputs": {}}}`},
		{name: "saved by the front end", text: `{"last_node_id": 9, "nodes": [{"id": 1}], "links": []}`},
		{name: "empty", text: `{}`, err: "no nodes"},
		{name: "list", text: `[]`, err: "object"},
		{name: "no class", text: `{"1": {"inputs": {}}}`, err: `"1" is not a node`},
		{name: "number", text: `{"1": 5}`, err: `"1" is not a node`},
		{name: "cut short", text: `{"1": {`, err: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := app.ParseWorkflow([]byte(tt.text))
			if wants := tt.err != "" || tt.name == "cut short"; wants != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %q, want %q in it", err, tt.err)
				}
				return
			}
			if workflow.IsWorkflow(got) {
				return
			}
			for id := range got.All() {
				if got.Object(id).String("class_type") == "" {
					t.Errorf("node %s has no class", id)
				}
			}
		})
	}
}

func TestSetInputs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		set, node, field, want, err string
	}{
		{set: "3.seed=18446744073709551615", node: "3", field: "seed", want: "18446744073709551615"},
		{set: "3.cfg=2.5", node: "3", field: "cfg", want: "2.5"},
		{set: "6.text=42", node: "6", field: "text", want: `"42"`},
		{set: "6.text=a=b, c.d", node: "6", field: "text", want: `"a=b, c.d"`},
		{set: "6.text=", node: "6", field: "text", want: `""`},
		{set: `3.model=["4", 0]`, node: "3", field: "model", want: `["4", 0]`},
		{set: "3.scheduler=karras", node: "3", field: "scheduler", want: `"karras"`},
		{set: "5.width=wide", node: "5", field: "width", want: `"wide"`},
		{set: "5.new.dotted=true", node: "5", field: "new.dotted", want: "true"},
		{set: "99.text=x", err: "there is no node 99; the workflow has 3, 4, 5"},
		{set: "3.seed", err: "NODE.FIELD=VALUE"},
		{set: "seed=3", err: "NODE.FIELD=VALUE"},
		{set: ".seed=3", err: "NODE.FIELD=VALUE"},
		{set: "3.=3", err: "NODE.FIELD=VALUE"},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			t.Parallel()
			prompt, err := app.ParseWorkflow(demo.Workflow)
			if err != nil {
				t.Fatal(err)
			}
			err = app.SetInputs(prompt, []string{tt.set})
			if (tt.err != "") != (err != nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			v, _ := prompt.Object(tt.node).Object("inputs").Get(tt.field)
			if got, err := pyjson.Marshal(v); err != nil || string(got) != tt.want {
				t.Errorf("%s is %s (%v), want %s", tt.field, got, err, tt.want)
			}
		})
	}
}

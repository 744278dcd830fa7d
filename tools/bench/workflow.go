package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"comfygo/demo"
	"comfygo/internal/apiclient"
	"comfygo/internal/measure"
)

// bench is one server under measurement.
type bench struct {
	server *apiclient.Process
	start  time.Duration
	idle   apiclient.Usage
	runs   []measure.Run
}

// load reads the workflow and sets the values of the options.
func (o options) load(checkpoint string) (measure.Workflow, error) {
	text := demo.Workflow
	if o.workflow != "" {
		var err error
		if text, err = os.ReadFile(o.workflow); err != nil {
			return nil, err
		}
	}
	var w measure.Workflow
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("reading the workflow: %w", err)
	}
	for _, n := range w {
		if _, ok := n.Inputs["ckpt_name"]; ok {
			n.Inputs["ckpt_name"] = checkpoint
		}
		if n.Class == "EmptyLatentImage" && o.workflow == "" {
			n.Inputs["width"], n.Inputs["height"] = o.width, o.height
		}
		if n.Class == "KSampler" && o.workflow == "" {
			n.Inputs["steps"] = o.steps
		}
	}
	return w, nil
}

// reseed makes the next run another one, texts included, so that only models are reused.
func reseed(w measure.Workflow, run int) {
	for _, n := range w {
		if _, ok := n.Inputs["seed"].(float64); ok || run > 0 && n.Class == "KSampler" {
			n.Inputs["seed"] = 42 + run
		}
		if text, ok := n.Inputs["text"].(string); ok && run > 0 {
			n.Inputs["text"] = text + "."
		}
	}
}

package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"comfygo/tests/browser"
)

// TestAppFixedNumbers runs a workflow whose steps come from a PrimitiveInt twice: unlike a seed, the number does not change.
func TestAppFixedNumbers(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/")
	p.Wait("#run")
	g := demoGraph(t, func(g graph) {
		g["20"] = &graphNode{Class: "PrimitiveInt", Inputs: map[string]any{"value": 2}}
		for _, n := range g {
			if n.Class == "KSampler" {
				n.Inputs["steps"] = []any{"20", 0}
			}
		}
	})
	p.Drop("#main", file(t, "steps.json", g))
	p.WaitFor("the workflow is open", "document.querySelector('h1').textContent === 'steps'")
	for run := 1; run <= 2; run++ {
		p.Click("#run")
		p.WaitFor("a run is over", fmt.Sprintf("document.querySelectorAll('.strip li').length === %d && %s", run, done))
		if got := browser.Eval[string](p, "document.querySelector(\"[data-node='20'] input\").value"); got != "2" {
			t.Errorf("run %d: the number is %s", run, got)
		}
	}
	// A seed that was run once more finds its result in the cache: the gallery has one tile for it.
	p.Click("[data-input=seed] button[aria-pressed]")
	p.Click("#run")
	p.WaitFor("the third run is over", "document.querySelector('.stage').dataset.state === 'done'")
	p.Click("a[data-view=gallery]")
	p.WaitFor("two tiles", "document.querySelectorAll('.grid .tile').length === 2")
	p.Click("a[data-view=history]")
	p.WaitFor("the prompts are in the history", "document.querySelectorAll('.job-prompt').length >= 2")
	p.Shot("history")
	p.Clean()
}

// TestAppCannotRun opens a workflow with an unknown node: the page says so at its top and Run is off; presets and LoRAs work.
func TestAppCannotRun(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	loras := filepath.Join(s.Dir, "models", "loras")
	if err := os.MkdirAll(loras, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(loras, "style.safetensors"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, s, "/")
	p.Wait("#run")
	links := func() string {
		return browser.Eval[string](p, "JSON.stringify(Object.values(JSON.parse(localStorage.getItem('comfygo.workflow')).graph).map((n) => n.class_type).filter((c) => c.startsWith('Lora')))")
	}
	p.WaitFor("the presets are there", "document.querySelector('select[aria-label=\"Size presets\"]')")
	pick := func(label string, option int) {
		browser.Eval[bool](p, fmt.Sprintf("(() => { const s = document.querySelector('select[aria-label=\"%s\"]'); s.selectedIndex = %d; s.dispatchEvent(new Event('change')); return true; })()", label, option))
	}
	pick("Size presets", 2)
	if got := browser.Eval[string](p, "['width', 'height'].map((n) => document.querySelector(`[data-input=${n}] input`).value).join()"); got != "512,768" {
		t.Errorf("the preset set %s", got)
	}
	pick("Add a LoRA", 1)
	p.WaitFor("the LoRA cannot be used, which the banner says", "document.querySelector('.banner')?.textContent.includes('style.safetensors cannot be used')")
	if !browser.Eval[bool](p, "document.querySelector('#run').disabled") {
		t.Error("Run can be pressed with a damaged LoRA")
	}
	p.WaitFor("the graph has the LoRA", "localStorage.getItem('comfygo.workflow').includes('LoraLoader')")
	if got := links(); got != `["LoraLoader"]` {
		t.Errorf("the graph has %s", got)
	}
	p.Shot("lora")
	p.Click("button[aria-label='Remove the LoRA style.safetensors']")
	p.WaitFor("the LoRA is gone", "!document.querySelector('#run').disabled && !document.querySelector('.banner').textContent")
	p.Drop("#main", file(t, "unknown.json", demoGraph(t, func(g graph) { g["30"] = &graphNode{Class: "NoSuchNode", Inputs: map[string]any{}} })))
	p.WaitFor("the banner names the node", "document.querySelector('.banner')?.textContent.includes('NoSuchNode')")
	if n := p.Count(".note.bad"); n != 1 || !browser.Eval[bool](p, "document.querySelector('#run').disabled") {
		t.Errorf("%d red boxes, Run disabled %t", n, browser.Eval[bool](p, "document.querySelector('#run').disabled"))
	}
	p.Shot("unknown")
	p.Phone()
	p.Reload()
	p.Wait("#run")
	p.Shot("phone")
	p.Prefer("prefers-color-scheme", "dark")
	p.Shot("dark")
	p.Click("a[data-view=models]")
	p.WaitFor("the models page says family and use", "document.querySelectorAll('.file-state').length >= 2")
	p.Shot("models")
	p.Clean()
}

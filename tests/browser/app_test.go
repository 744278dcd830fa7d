package browser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/demo"
	"comfygo/tests/browser"
)

const (
	done    = "document.querySelector('.stage').dataset.state === 'done' && document.querySelector('.frame img')?.complete"
	running = "document.querySelector('.stage').dataset.state === 'running'"
)

// graph is a workflow in API form.
type graph map[string]*graphNode

type graphNode struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
	Meta   map[string]any `json:"_meta,omitempty"`
}

// demoGraph is the demo workflow, changed.
func demoGraph(t *testing.T, change func(g graph)) []byte {
	t.Helper()
	var g graph
	if err := json.Unmarshal(demo.Workflow, &g); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(g)
	}
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// file writes a file to be dropped and returns its path.
func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// steps sets how many steps the demo's sampler takes.
func steps(p *browser.Page, n int) {
	p.Fill("[data-input=steps] input", fmt.Sprint(n))
}

func TestAppDemo(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/")
	p.Wait("#run")
	p.WaitFor("the page is connected", "document.querySelector('#link-state').dataset.state === 'open'")
	p.Shot("first")
	if got := p.Text("h1"); got != "Demo" {
		t.Errorf("the first visit shows %q, want the demo", got)
	}
	p.Fill("[data-node='6'] textarea", "a red house under a blue sky")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Shot("done")
	if w := browser.Eval[int](p, "document.querySelector('.frame img').naturalWidth"); w != 64 {
		t.Errorf("the image is %d wide, want 64", w)
	}
	if seed := browser.Eval[string](p, "document.querySelector('[data-input=seed] input').value"); seed != "42" {
		t.Errorf("the first run used seed %s, want the workflow's own", seed)
	}
	p.Click("#run")
	p.WaitFor("there are two images", "document.querySelectorAll('.strip li').length === 2")
	if seed := browser.Eval[string](p, "document.querySelector('[data-input=seed] input').value"); seed == "42" {
		t.Error("the second run used the same seed, which was not kept")
	}
	p.Click("[data-input=seed] button[aria-pressed]")
	kept := browser.Eval[string](p, "document.querySelector('[data-input=seed] input').value")
	p.Click("#run")
	p.WaitFor("the third run is over", "document.querySelectorAll('.strip li').length >= 2 && document.querySelector('.stage').dataset.state === 'done'")
	if seed := browser.Eval[string](p, "document.querySelector('[data-input=seed] input').value"); seed != kept {
		t.Errorf("the kept seed %s became %s", kept, seed)
	}
	checkGallery(t, p)
	p.Click("a[data-view=models]")
	p.WaitFor("the model is listed", "document.querySelector('.files')?.textContent.includes('demo-shapes.safetensors')")
	p.Click("a[data-view=health]")
	p.WaitFor("memory is drawn", "document.querySelector('.line.chart-1')?.getAttribute('points').includes(' ')")
	p.Shot("health")
	if got := p.Text(".verdict"); got != "Healthy" {
		t.Errorf("the health page says %q", got)
	}
	p.Clean()
}

// checkGallery checks the results of TestAppDemo, reuses its workflow and clears the history.
func checkGallery(t *testing.T, p *browser.Page) {
	t.Helper()
	p.Click("a[data-view=gallery]")
	p.WaitFor("the gallery has images", "[...document.querySelectorAll('.grid img')].filter(i => i.complete && i.naturalWidth).length >= 2")
	p.Shot("gallery")
	p.Click(".grid li:last-child .tile")
	p.WaitFor("it is one of the two tiles, though a third run found its result in the cache", "document.querySelector('.lightbox').textContent.includes('2 of 2')")
	p.WaitFor("the prompt is told", "document.querySelector('.lb-side .words p')?.textContent === 'a red house under a blue sky'")
	p.WaitFor("the settings are told", "document.querySelector('.lb-side .facts')?.textContent.includes('Seed42')")
	p.Shot("lightbox")
	p.ClickText(".lb-side button", "Use this workflow")
	p.WaitFor("the form has its prompt", "document.querySelector('[data-node=\"6\"] textarea')?.value === 'a red house under a blue sky'")
	p.Click("a[data-view=history]")
	p.WaitFor("the history has rows", "document.querySelectorAll('.past[data-state=completed]').length >= 2")
	p.Shot("history")
	p.ClickText(".page-head button", "Clear")
	p.WaitFor("the history is empty", "document.querySelector('.jobs .empty')")
}

// TestAppRuns watches a long run: previews, progress by node, cancelling; then the queue's order.
func TestAppRuns(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	steps(p, 10000)
	p.Click("#run")
	p.WaitFor("a preview is shown", "document.querySelector('.frame img.preview')?.naturalWidth > 0")
	p.WaitFor("the bar moves", "document.querySelector('.stage-card progress').value > 0.01")
	p.WaitFor("the sampler's row counts", "/^\\d+ \\/ 10000$/.test(document.querySelector('.steps [data-node=\"3\"] .step-right').textContent)")
	p.Shot("running")
	if got := p.Text(".caption"); !strings.HasPrefix(got, "KSampler") {
		t.Errorf("the caption is %q", got)
	}
	if got := browser.Eval[string](p, "document.getElementById('status').textContent"); !strings.HasPrefix(got, "Running.") && !strings.Contains(got, "percent") {
		t.Errorf("screen readers hear %q", got)
	}
	p.Fill("#times", "3")
	p.Click("#run")
	p.WaitFor("four are in the queue", "document.querySelector('#queue-count').textContent === '4'")
	p.Click("a[data-view=queue]")
	p.WaitFor("three wait", "document.querySelectorAll('.job[draggable]').length === 3")
	p.WaitFor("the running one tells its step", "/of 10000/.test(document.querySelector('.job.now .job-step').textContent)")
	order := "[...document.querySelectorAll('.job[draggable]')].map(e => e.dataset.id).join()"
	before := strings.Split(browser.Eval[string](p, order), ",")
	p.Shot("queue")
	p.Click(".job[data-id='" + before[2] + "'] [title='To the front']")
	p.WaitFor("the last one is the first", order+" === '"+strings.Join([]string{before[2], before[0], before[1]}, ",")+"'")
	p.Click(".job[data-id='" + before[0] + "'] [title='Later']")
	p.WaitFor("it went on", order+" === '"+strings.Join([]string{before[2], before[1], before[0]}, ",")+"'")
	browser.Eval[chromedp.Void](p, `(() => {
		const held = new DataTransfer(), all = [...document.querySelectorAll('.job[draggable]')];
		for (const [kind, e] of [['dragstart', all[2]], ['dragover', all[0]], ['drop', all[0]], ['dragend', all[2]]])
			e.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: held}));
	})()`)
	p.WaitFor("the last one was dragged to the front", order+" === '"+strings.Join([]string{before[0], before[2], before[1]}, ",")+"'")
	p.Click(".job[data-id='" + before[2] + "'] [title='Earlier']")
	p.WaitFor("it is first again", order+" === '"+strings.Join([]string{before[2], before[0], before[1]}, ",")+"'")
	p.Click(".job[data-id='" + before[1] + "'] [title='Cancel']")
	p.WaitFor("it is gone", order+" === '"+strings.Join([]string{before[2], before[0]}, ",")+"'")
	p.ClickText(".page-head button", "Pause")
	p.WaitFor("the queue is paused", "document.querySelector('.lead').textContent.startsWith('Paused')")
	p.Click(".job.now [title=Cancel]")
	p.WaitFor("nothing runs", "!document.querySelector('.job.now')")
	p.ClickText(".page-head button", "Clear")
	p.ClickText(".page-head button", "Go on")
	p.WaitFor("the queue is empty", "document.querySelector('.jobs .empty')")
	p.Click("a[data-view='']")
	p.Wait("#run")
	p.WaitFor("the stage has heard of the cancelling", "document.querySelector('.stage').dataset.state === 'cancelled'")
	p.Clean()
}

// TestAppReload reloads the page while its run continues, and again after a restart of the server.
func TestAppReload(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Fill("[data-node='6'] textarea", "a yellow sun")
	steps(p, 10000)
	p.Click("#run")
	p.WaitFor("it runs", running)
	p.Reload()
	p.Wait("#run")
	if got := browser.Eval[string](p, "document.querySelector('[data-node=\"6\"] textarea').value"); got != "a yellow sun" {
		t.Errorf("after loading again the prompt is %q", got)
	}
	p.WaitFor("its run is known again", running+" && document.querySelector('.frame img.preview')")
	p.ClickText(".stage button", "Cancel")
	p.WaitFor("it is cancelled", "document.querySelector('.stage').dataset.state === 'cancelled'")
	p.Clean()
	steps(p, 4)
	s.Stop(t)
	p.WaitFor("the page tells that the server is gone", "document.querySelector('#link-state').dataset.state === 'lost'")
	p.Shot("lost")
	s.Restart(t)
	p.WaitFor("the page is connected again", "document.querySelector('#link-state').dataset.state === 'open'")
	p.Forget()
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Clean()
}

// TestAppWithoutModel is a first visit to a server without models: the page explains which files to put where,
// and shows them when they appear.
func TestAppWithoutModel(t *testing.T) {
	t.Parallel()
	s := browser.Start(t)
	p := browser.Open(t, s, "/")
	p.Wait(".welcome")
	p.Shot("welcome")
	folder := filepath.Join(s.Dir, "models", "checkpoints")
	if got := p.Text(".places code"); got != folder {
		t.Errorf("checkpoints are to go into %q, want %q", got, folder)
	}
	p.ClickText("button", "Refresh")
	p.WaitFor("it says that there is none yet", "document.querySelector('.notice')?.textContent.includes('still no checkpoint')")
	from, err := demo.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "mine.safetensors"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	// A checkpoint that cannot be used is not offered first, although its name is the first.
	if err := os.WriteFile(filepath.Join(folder, "a-damaged.safetensors"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ClickText("button", "Refresh")
	p.Wait("#run")
	p.Shot("found")
	if got := browser.Eval[string](p, "document.querySelector('[data-input=ckpt_name] select').value"); got != "mine.safetensors" {
		t.Errorf("the checkpoint is %q", got)
	}
	p.Fill("[data-node='6'] textarea", "a tree")
	p.Fill("[data-input=width] input", "64")
	p.Fill("[data-input=height] input", "64")
	p.Fill("[data-input=batch_size] input", "2")
	p.Fill("#times", "3")
	if got := p.Text(".run-bar"); !strings.Contains(got, "× 2 images = 6") {
		t.Errorf("beside Run it says %q", got)
	}
	p.Fill("[data-input=batch_size] input", "1")
	p.Fill("#times", "1")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Clean()
}

// TestAppWithKey signs in on the way to the page.
func TestAppWithKey(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model", "--api-key", "a-key-for-the-test")
	p := browser.Open(t, s, "/app")
	p.Wait("#key")
	p.Shot("login")
	p.Type("#key", "a-key-for-the-test\r")
	p.Wait("#run")
	p.WaitFor("the page is connected", "document.querySelector('#link-state').dataset.state === 'open'")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Clean()
	browser.Eval[chromedp.Void](p, "fetch('/logout', {method: 'POST'})")
	p.Click("#run")
	p.WaitFor("the page offers to sign in", "[...document.querySelectorAll('.notice a')].some(a => a.textContent === 'Sign in')")
	p.Shot("signed-out")
	if body, err := json.Marshal(p.Requests("")); err != nil || bytes.Contains(body, []byte("a-key-for-the-test?")) {
		t.Errorf("the key is in an address (%v)", err)
	}
}

package browser_test

import (
	"encoding/json"
	"strings"
	"testing"

	"comfygo/tests/browser"
)

// jsString is a text as JavaScript writes it.
func jsString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// TestAppNodeErrors shows what the server refuses at the inputs that it is about.
func TestAppNodeErrors(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Drop("body", file(t, "wrong.json", demoGraph(t, func(g graph) {
		g["3"].Inputs["steps"] = -3
		delete(g["3"].Inputs, "model")
		g["5"].Inputs["width"] = 7
	})))
	p.WaitFor("it is loaded", "document.querySelector('h1').textContent === 'wrong'")
	p.Click("#run")
	p.WaitFor("the complaints are listed", "document.querySelectorAll('.problems li').length === 3")
	p.Shot("node-errors")
	for _, input := range []string{"steps", "width"} {
		field := "document.querySelector('[data-input=" + input + "] input')"
		if got := browser.Eval[string](p, field+".getAttribute('aria-invalid') + ' ' + document.getElementById("+field+".getAttribute('aria-describedby').split(' ').at(-1)).checkVisibility()"); got != "true true" {
			t.Errorf("%s: invalid and explained: %s", input, got)
		}
	}
	p.ClickText(".problems button", browser.Eval[string](p, "[...document.querySelectorAll('.problems button')].find(b => b.textContent.includes('Steps')).textContent"))
	p.WaitFor("the field has the focus", "document.activeElement.closest('[data-input=steps]')")
	steps(p, 3)
	p.WaitFor("the complaint about what was put right is gone", "!document.querySelector('[data-input=steps] [aria-invalid]')")
	p.Fill("[data-input=steps] input", "0")
	p.WaitFor("what is out of range is said at once", "document.querySelector('[data-input=steps] .field-error').textContent === 'The least is 1.'")
	p.Forget()
	p.Click("#run")
	p.WaitFor("the wrong field has the focus", "document.activeElement.closest('[data-input=steps]')")
	if n := len(p.Requests("^/prompt")); n != 0 {
		t.Errorf("%d prompts were sent although a field is wrong", n)
	}
}

// TestAppExecutionError shows a node that fails while it runs.
func TestAppExecutionError(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Drop("body", file(t, "too large.json", demoGraph(t, func(g graph) {
		for name, v := range map[string]int{"width": 16384, "height": 16384, "batch_size": 4096} {
			g["5"].Inputs[name] = v
		}
	})))
	p.WaitFor("it is loaded", "document.querySelector('h1').textContent === 'too large'")
	p.Click("#run")
	p.WaitFor("the failure is shown", "document.querySelector('.failure')")
	p.Shot("execution-error")
	if got := p.Text(".failure-where"); got != "Empty Latent Image has failed" {
		t.Errorf("the failure is at %q", got)
	}
	if got := p.Text(".failure-what"); !strings.Contains(got, "memory") {
		t.Errorf("the failure is %q", got)
	}
	p.WaitFor("it is told aloud", "document.getElementById('alert').textContent.includes('has failed')")
	if got := browser.Eval[string](p, "document.querySelector('.steps [data-node=\"5\"]').dataset.state"); got != "failed" {
		t.Errorf("the node's row is %q", got)
	}
	p.ClickText(".failure button", "Show its inputs")
	p.WaitFor("the focus is in the node", "document.activeElement.closest('[data-node=\"5\"]')")
	p.Click("a[data-view=history]")
	p.WaitFor("the history tells the error", "document.querySelector('.past[data-state=failed] .job-error')?.textContent.includes('memory')")
	p.Shot("history")
	p.Clean()
}

// TestAppHostile shows untrusted texts that would be markup: they stay texts.
func TestAppHostile(t *testing.T) {
	t.Parallel()
	const evil = `<img src=x onerror="window.bitten=1"><script>window.bitten=1</script>`
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Drop("body", file(t, "a <b>name<img src=x onerror=1>.json", demoGraph(t, func(g graph) {
		for _, n := range g {
			n.Meta = map[string]any{"title": evil}
		}
		g["6"].Inputs["text"] = evil
		g["9"].Inputs["filename_prefix"] = "a<b>"
		g["12"] = &graphNode{Class: evil, Inputs: map[string]any{evil: evil, "__proto__": 1, "constructor": "x", "toString": []any{"constructor", 0}}}
		g["constructor"] = &graphNode{Class: "constructor", Inputs: map[string]any{"seed": 5, "x": []any{"__proto__", 0}}}
		g["__proto__x"] = &graphNode{Class: "Note", Inputs: map[string]any{"x": map[string]any{"y": evil}}}
	})))
	p.WaitFor("it is loaded", "document.querySelector('h1').textContent.startsWith('a <b>name')")
	p.WaitFor("the unknown nodes are named", "document.querySelector('.note.bad')?.textContent.includes('<script>')")
	p.Click(".more > summary")
	p.Shot("hostile")
	p.WaitFor("Run is off, with the reason", "document.querySelector('#run').disabled && document.querySelector('#run-reason').textContent.includes('<script>')")
	p.Drop("body", file(t, "evil.json", demoGraph(t, func(g graph) {
		g["6"].Inputs["text"] = evil
		g["6"].Meta = map[string]any{"title": evil}
		g["9"].Inputs["filename_prefix"] = "x <i>y"
	})))
	p.WaitFor("the second is loaded", "document.querySelector('h1').textContent === 'evil'")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	for _, view := range []string{"queue", "gallery", "history"} {
		p.Click("a[data-view=" + view + "]")
		p.Wait("main h1")
	}
	p.Click("a[data-view=gallery]")
	p.Click(".tile")
	p.WaitFor("the prompt is told as text", "document.querySelector('.words p')?.textContent === "+jsString(evil))
	if got := browser.Eval[string](p, "String(window.bitten) + document.querySelectorAll('main script, main [onerror], dialog script, dialog [onerror], main b > img').length"); got != "undefined0" {
		t.Errorf("text became markup: %s", got)
	}
	p.Clean("request: 400 POST .*/prompt", "request: 404 GET .*/view")
}

// TestAppPolicy tries to break the page's own rules from inside it.
func TestAppPolicy(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Clean()
	got := browser.Eval[string](p, `(async () => {
		const seen = [];
		document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective));
		const s = document.createElement('script');
		try { s.textContent = 'window.ran = 1'; document.head.append(s); } catch (e) { seen.push(e.name); }
		try { document.body.insertAdjacentHTML('beforeend', '<i id=markup></i>'); } catch (e) { seen.push(e.name); }
		const img = document.createElement('img');
		img.src = 'http://127.0.0.1:9/x.png';
		document.body.append(img);
		await new Promise((r) => setTimeout(r, 500));
		return String(window.ran) + document.getElementById('markup') + ' ' + seen.join();
	})()`)
	if !strings.HasPrefix(got, "undefinednull ") || !strings.Contains(got, "TypeError") || !strings.Contains(got, "img-src") {
		t.Errorf("what the policy let through: %s", got)
	}
}

package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"comfygo/tests/browser"
)

var appViews = []string{"", "queue", "gallery", "history", "models", "health"}

// made is a server and a page on which an image was made, so that every view has something to show.
func made(t *testing.T, setUp func(p *browser.Page)) (*browser.Server, *browser.Page) {
	t.Helper()
	s := browser.Start(t, "--demo-model")
	p := browser.Blank(t, s.Base)
	if setUp != nil {
		setUp(p)
	}
	p.Goto("/app")
	p.Wait("#run")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	return s, p
}

// view opens one of the page's views and waits until its content is shown.
func view(p *browser.Page, name string) {
	p.Click("a[data-view='" + name + "']")
	ready := map[string]string{
		"": "document.querySelector('#run')", "queue": "document.querySelector('.jobs .empty')", "gallery": "document.querySelector('.tile img')?.complete",
		"history": "document.querySelector('.past')", "models": "document.querySelector('.files')", "health": "document.querySelector('.line')",
	}[name]
	p.WaitFor("the view "+name+" is there", ready)
}

// TestAppPhone checks every view on a phone, dark and light: nothing is wider than the screen.
func TestAppPhone(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			_, p := made(t, func(p *browser.Page) {
				p.Prefer("prefers-color-scheme", scheme)
				p.Phone()
			})
			for _, name := range appViews {
				view(p, name)
				p.Shot("view-" + name)
				judge(t, p, name)
				if got := browser.Eval[string](p, "document.documentElement.scrollWidth + ' of ' + innerWidth"); !strings.HasPrefix(got, "390 of 390") {
					t.Errorf("%s: the page is %s wide", name, got)
				}
				small := browser.Eval[[]string](p, `[...document.querySelectorAll('main button, main a.btn, #tabs a')].filter(e => e.checkVisibility()).filter(e => {
					const r = e.getBoundingClientRect(); return !e.classList.contains('as-link') && (r.width < 24 || r.height < 24) }).map(e => e.outerHTML.slice(0, 90))`)
				if len(small) > 0 {
					t.Errorf("%s: too small for a finger: %q", name, small)
				}
			}
			view(p, "gallery")
			p.Click(".tile")
			p.Wait(".lb-side .facts")
			p.Shot("lightbox")
			judge(t, p, "lightbox")
			if got := browser.Eval[int](p, "document.querySelector('.lightbox').scrollWidth"); got > 390 {
				t.Errorf("the image's page is %d wide", got)
			}
			ground := browser.Eval[string](p, "getComputedStyle(document.body).backgroundColor")
			if want := map[string]string{"light": "rgb(246, 246, 245)", "dark": "rgb(18, 19, 20)"}[scheme]; ground != want {
				t.Errorf("the ground is %s, want %s", ground, want)
			}
			p.Clean()
		})
	}
}

// TestAppTheme switches the colours by the button, against the system's choice, and finds them after loading again.
func TestAppTheme(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Blank(t, s.Base)
	p.Prefer("prefers-color-scheme", "light")
	p.Goto("/app")
	p.Wait("#run")
	ground := "getComputedStyle(document.body).backgroundColor"
	for _, want := range []string{"rgb(246, 246, 245)", "rgb(18, 19, 20)", "rgb(246, 246, 245)", "rgb(246, 246, 245)", "rgb(18, 19, 20)"} {
		p.Click("#theme") // light, dark, as the system, light, dark
		if got := browser.Eval[string](p, ground); got != want {
			t.Errorf("the ground is %s, want %s", got, want)
		}
	}
	p.Reload()
	p.Wait("#run")
	if got := browser.Eval[string](p, ground); got != "rgb(18, 19, 20)" {
		t.Errorf("after loading again the ground is %s", got)
	}
	p.Shot("dark")
}

// TestAppSpoken reads every view as a screen reader does: landmarks, one heading of the first rank, and a name for
// everything that can be operated.
func TestAppSpoken(t *testing.T) {
	t.Parallel()
	operated := []string{"textbox", "spinbutton", "combobox", "listbox", "checkbox", "switch", "slider", "button", "link", "searchbox", "progressbar", "image"}
	_, p := made(t, nil)
	p.Click(".form .more > summary")
	for _, name := range appViews {
		view(p, name)
		spoken := p.Speaks()
		for _, x := range spoken {
			if slices.Contains(operated, x.Role) && strings.TrimSpace(x.Name) == "" {
				t.Errorf("view %q: a %s has no name", name, x.Role)
			}
		}
		for _, role := range []string{"banner", "navigation", "main"} {
			if n := count(spoken, role); n != 1 {
				t.Errorf("view %q: %d times %s, want 1", name, n, role)
			}
		}
		if n := p.Count("main h1"); n != 1 {
			t.Errorf("view %q: %d headings of the first rank", name, n)
		}
		unnamed := browser.Eval[[]string](p, `[...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels?.length && !e.ariaLabel && !e.getAttribute('aria-labelledby')).map(e => e.outerHTML)`)
		if len(unnamed) > 0 {
			t.Errorf("view %q: fields without a label: %q", name, unnamed)
		}
		twice := browser.Eval[[]string](p, `(() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id); return ids.filter((id, i) => ids.indexOf(id) !== i) })()`)
		if len(twice) > 0 {
			t.Errorf("view %q: ids that are there twice: %q", name, twice)
		}
	}
	if got := browser.Eval[string](p, "document.querySelector('#tabs [aria-current=page]').textContent"); got != "Health" {
		t.Errorf("the current page is %q", got)
	}
}

func count(spoken []browser.Spoken, role string) (n int) {
	for _, x := range spoken {
		if x.Role == role {
			n++
		}
	}
	return n
}

// TestAppKeyboard makes an image and views it without a mouse; the focus is always visible.
func TestAppKeyboard(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Press(kb.Tab)
	if got := browser.Eval[string](p, "document.activeElement.className"); got != "skip" {
		t.Errorf("the first stop is %q, want the link past the navigation", got)
	}
	p.Shot("skip")
	p.Press(kb.Enter)
	p.WaitFor("the focus is in the content", "document.activeElement.id === 'main'")
	if got := browser.Eval[string](p, "location.hash"); got != "#main" && got != "" {
		t.Errorf("the address became %s", got)
	}
	reach(t, p, "the prompt", "document.activeElement.matches('[data-node=\"6\"] textarea')")
	browser.Eval[chromedp.Void](p, "document.activeElement.select()")
	p.Press("a green tree")
	p.Shot("focus-prompt")
	p.Press(kb.Enter, chromedp.ModifierCtrl)
	p.WaitFor("the image is there", done)
	if got := browser.Eval[string](p, "document.querySelector('[data-node=\"6\"] textarea').value"); got != "a green tree" {
		t.Errorf("the prompt is %q", got)
	}
	reach(t, p, "the run button", "document.activeElement.id === 'run'")
	p.Shot("focus-run")
	reach(t, p, "the image", "document.activeElement.matches('.frame-open')")
	p.Press(kb.Enter)
	p.Wait(".lightbox[open]")
	p.WaitFor("its prompt is told", "document.querySelector('.words p')?.textContent === 'a green tree'")
	if !browser.Eval[bool](p, "document.querySelector('.lightbox').contains(document.activeElement)") {
		t.Error("the focus is not in the dialog")
	}
	p.Press(kb.Escape)
	p.WaitGone(".lightbox")
	p.WaitFor("the focus is back at the image", "document.activeElement.matches('.frame-open')")
	for i := 0; i < 80 && !browser.Eval[bool](p, "document.activeElement.matches('a[data-view=queue]')"); i++ {
		p.Press(kb.Tab, chromedp.ModifierShift)
	}
	p.Press(kb.Enter)
	p.WaitFor("the focus is at the view's heading", "document.activeElement.matches('h1') && document.activeElement.textContent === 'Queue'")
	p.Clean()
}

// reach presses the tabulator key until a condition is true; at each stop the focus has to be visible.
func reach(t *testing.T, p *browser.Page, what, condition string) {
	t.Helper()
	for range 60 {
		if browser.Eval[bool](p, "!!("+condition+")") {
			return
		}
		p.Press(kb.Tab)
		mark := browser.Eval[string](p, `(() => { const e = document.activeElement, c = getComputedStyle(e);
			return e === document.body || (c.outlineStyle !== 'none' && parseFloat(c.outlineWidth) >= 2) ? '' : e.outerHTML.slice(0, 120) })()`)
		if mark != "" {
			t.Errorf("the focus cannot be seen at %s", mark)
		}
	}
	t.Fatal(fmt.Sprint("the keyboard does not reach ", what))
}

// TestAppStill requests reduced motion: nothing moves for longer than a blink.
func TestAppStill(t *testing.T) {
	t.Parallel()
	_, p := made(t, func(p *browser.Page) { p.Prefer("prefers-reduced-motion", "reduce") })
	longest := browser.Eval[float64](p, `Math.max(...[...document.querySelectorAll('*')].flatMap(e => { const c = getComputedStyle(e);
		return [c.transitionDuration, c.animationDuration].flatMap(d => d.split(',').map(parseFloat)) }))`)
	if longest > 0.001 {
		t.Errorf("something moves for %v s", longest)
	}
}

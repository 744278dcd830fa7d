package browser

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The size of a page in CSS pixels unless a test sets another.
const (
	Width  = 1280
	Height = 900
)

// Patience is how long one step may take: what is clicked has to appear within it. The machine may be busy and the
// server may carry the race detector.
const Patience = 60 * time.Second

// Page is one tab with a profile of its own. Its methods fail the test when something does not work out, and take a
// screenshot named "failed" first.
type Page struct {
	t     testing.TB
	base  string
	ctx   context.Context
	watch *watch
}

// Open opens the server's page at path ("/", "/app") in a new tab and returns when it is loaded. The tab is closed at
// the end of the test.
func Open(t testing.TB, s *Server, path string) *Page {
	t.Helper()
	p := Blank(t, s.Base)
	p.Goto(path)
	return p
}

// Blank opens an empty tab for paths below base, to set it up before the first Goto.
func Blank(t testing.TB, base string) *Page {
	t.Helper()
	w := newWatch()
	ctx, closeTab := chromedp.NewContext(process(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(w.see))
	p := &Page{t: t, base: strings.TrimSuffix(base, "/"), ctx: ctx, watch: w}
	t.Cleanup(func() {
		if t.Failed() {
			p.tell()
		}
		closeTab()
	})
	// The tab lives as long as the context of its first action: that one has no limit of its own.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	p.Resize(Width, Height)
	return p
}

// Do runs actions of chromedp one after the other; what says in the failure what was being done.
func (p *Page) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.fail(what, err)
	}
}

// fail takes a screenshot and ends the test.
func (p *Page) fail(what string, err error) {
	p.t.Helper()
	if shot, shotErr := p.capture(); shotErr == nil {
		_, _ = p.save("failed", shot)
	}
	p.t.Fatalf("%s: %v", what, err)
}

// Run runs one action of chromedp and returns its value.
func Run[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.fail(what, err)
	}
	return v
}

// Eval runs JavaScript in the page and decodes its value from JSON; it waits for a promise. With chromedp.Void as T
// the value is dropped.
func Eval[T any](p *Page, script string) T {
	p.t.Helper()
	return Run(p, "running "+short(script), chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// short cuts a script for a message.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}

// Goto loads another page of the server.
func (p *Page) Goto(path string) {
	p.t.Helper()
	p.Do("opening "+path, chromedp.Navigate(p.base+path))
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.Do("reloading", chromedp.Reload())
}

// Wait returns when an element that the CSS selector finds can be seen.
func (p *Page) Wait(css string) {
	p.t.Helper()
	p.Do("waiting for "+css, chromedp.WaitVisible(chromedp.CSS(css)))
}

// WaitGone returns when no element that the CSS selector finds is in the page.
func (p *Page) WaitGone(css string) {
	p.t.Helper()
	p.Do("waiting until there is no "+css, chromedp.WaitNotPresent(chromedp.CSS(css)))
}

// WaitFor returns when a JavaScript expression is true; a promise is waited for.
func (p *Page) WaitFor(what, expression string) {
	p.t.Helper()
	limit := time.Now().Add(Patience)
	for {
		ctx, cancel := context.WithDeadline(p.ctx, limit)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("(async () => !!("+expression+"))()", chromedp.EvalAwaitPromise))
		cancel()
		if err == nil && ok {
			return
		}
		if time.Now().After(limit) {
			p.fail("waiting until "+what, fmt.Errorf("%s is not true after %v (%v)", short(expression), Patience, err))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Text returns what an element shows.
func (p *Page) Text(css string) string {
	p.t.Helper()
	return Run(p, "reading "+css, chromedp.Text(chromedp.CSS(css)))
}

// Count returns how many elements the CSS selector finds now.
func (p *Page) Count(css string) int {
	p.t.Helper()
	return Eval[int](p, "document.querySelectorAll("+quote(css)+").length")
}

// Problems returns what has gone wrong since the page was opened or Forget was called, in order.
func (p *Page) Problems() []Problem {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return slices.Clone(p.watch.problems)
}

// Clean fails the test for each problem that none of the allowed patterns matches; patterns see Problem.String.
func (p *Page) Clean(allowed ...string) {
	p.t.Helper()
	var patterns []*regexp.Regexp
	for _, a := range allowed {
		patterns = append(patterns, regexp.MustCompile(a))
	}
	for _, problem := range p.Problems() {
		text := problem.String()
		if !slices.ContainsFunc(patterns, func(r *regexp.Regexp) bool { return r.MatchString(text) }) {
			p.t.Errorf("the page has a problem: %s", text)
		}
	}
}

// Logged returns the lines of the console, each "type: text".
func (p *Page) Logged() []string {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return slices.Clone(p.watch.logged)
}

// Requests returns the requests so far with a path and query that match the pattern; "" matches all.
func (p *Page) Requests(pattern string) []Request {
	match := regexp.MustCompile(pattern)
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	var out []Request
	for _, r := range p.watch.requests {
		if u, err := url.Parse(r.URL); err == nil && match.MatchString(u.RequestURI()) {
			out = append(out, *r)
		}
	}
	return out
}

// Frames returns the messages of the page's WebSockets so far.
func (p *Page) Frames() []Frame {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return slices.Clone(p.watch.frames)
}

// Forget drops the problems, lines, requests and messages so far.
func (p *Page) Forget() { p.watch.forget() }

// tell logs the messages of a failed test's page.
func (p *Page) tell() {
	for _, problem := range p.Problems() {
		p.t.Log(problem)
	}
}

func portOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "0"
	}
	return u.Port()
}

package browser_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser"
)

// troubles is a page on which everything goes wrong that the harness has to notice.
const troubles = `<!doctype html><title>troubles</title><h1>Troubles</h1>
<button id=b onclick="this.textContent = 'pressed'">press</button><input id=i>
<div id=d style="height:80px" ondragover="event.preventDefault()"
 ondrop="event.preventDefault(); const f = event.dataTransfer.files[0]; f.text().then(t => this.textContent = f.name + ': ' + t)">drop</div>
<p id=m></p><script>
console.error('a %s', 'complaint', {a: 1});
console.log('only said');
fetch('/missing?x=1');
const m = matchMedia('(prefers-color-scheme: dark)');
document.getElementById('m').textContent = m.matches ? 'dark' : 'light';
setTimeout(() => { throw new Error('thrown away') });
Promise.reject(new Error('rejected'));
</script>`

func site(t *testing.T, page string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestProblemsAreSeen(t *testing.T) {
	t.Parallel()
	p := browser.Blank(t, site(t, troubles))
	p.Goto("/")
	p.WaitFor("all has gone wrong", "performance.getEntriesByName(location.origin + '/missing?x=1').length")
	var got []string
	for _, problem := range p.Problems() {
		got = append(got, problem.String())
	}
	for _, want := range []string{"console: a %s complaint", "request: 404 GET ", "thrown away", "rejected"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not among the problems:\n%s", want, strings.Join(got, "\n"))
		}
	}
	if !slices.Contains(p.Logged(), "log: only said") {
		t.Errorf("the console has %q", p.Logged())
	}
	if r := p.Requests("^/missing"); len(r) != 1 || r[0].Status != 404 {
		t.Errorf("requests %+v", r)
	}
	p.Clean("console: a %s", "^request: 404 GET .*/(missing|favicon)", "thrown away", "rejected")
	p.Forget()
	p.Clean()
}

func TestActions(t *testing.T) {
	t.Parallel()
	p := browser.Blank(t, site(t, troubles))
	p.Prefer("prefers-color-scheme", "dark")
	p.Goto("/")
	if got := p.Text("#m"); got != "dark" {
		t.Errorf("the page prefers %s", got)
	}
	p.ClickText("button", "press")
	p.WaitFor("the button is pressed", "document.querySelector('#b').textContent == 'pressed'")
	p.Type("#i", "typed")
	p.Press("!")
	if got := browser.Eval[string](p, "document.querySelector('#i').value"); got != "typed!" {
		t.Errorf("the field holds %q", got)
	}
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte("inside"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Drop("#d", file)
	p.WaitFor("the file is read", "document.querySelector('#d').textContent == 'a.txt: inside'")
	if !slices.Contains(p.Speaks(), browser.Spoken{Role: "heading", Name: "Troubles"}) {
		t.Errorf("a screen reader says %v", p.Speaks())
	}
	p.Phone()
	p.Reload()
	if w := browser.Eval[int](p, "screen.width"); w >= 600 {
		t.Errorf("the phone is %d wide", w)
	}
	shot, err := os.ReadFile(p.Shot("phone"))
	if err != nil || !strings.HasPrefix(string(shot), "\x89PNG") {
		t.Errorf("the image: %v", err)
	}
}

func TestProfilesAreSeparate(t *testing.T) {
	t.Parallel()
	at := site(t, "<title>empty</title>")
	one, other := browser.Blank(t, at), browser.Blank(t, at)
	one.Goto("/")
	other.Goto("/")
	browser.Eval[chromedp.Void](one, "localStorage.setItem('a', 'b')")
	if n := browser.Eval[int](other, "localStorage.length"); n != 0 {
		t.Errorf("another tab's storage has %d entries", n)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := browser.Start(t)
	p := browser.Open(t, s, "/")
	if got := browser.Run(p, "reading the title", chromedp.Title()); got == "" {
		t.Error("the page has no title")
	}
	before := s.Base
	s.Restart(t)
	if s.Base != before {
		t.Errorf("it came back at %s, not %s", s.Base, before)
	}
	p.Reload()
	p.Shot("root")
}

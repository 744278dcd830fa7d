package browser_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser"
)

// TestFrontEndWithKey signs in on the page that stands in place of the official front end, which then works as it is: it
// loads, runs a workflow over its socket and shows the image. Signed out, it is gone again.
func TestFrontEndWithKey(t *testing.T) {
	const key = "a-key-for-the-front-end"
	found := installed(t)
	s := browser.Start(t, "--disable-api-nodes", "--front-end-packages", filepath.Dir(filepath.Dir(found.Root)), "--api-key", key)
	f := front{browser.Blank(t, s.Base), s}
	f.Goto("/")
	f.Wait("#key")
	f.Type("#key", "not-the-key\r")
	f.WaitFor("the key is refused", "document.querySelector('#problem')?.innerText.includes('not valid')")
	f.Type("#key", key+"\r")
	f.ready()
	f.closeDialogs()
	f.load([]byte(tiny), "probe")
	f.Forget()
	f.run()
	f.WaitFor("the image is there", "app.rootGraph.nodes.find(n => n.comfyClass === 'SaveImage').imgs?.[0]?.naturalWidth === 64")
	f.Shot("with-key")
	f.Clean(baseline...)
	for _, r := range f.Requests("") {
		if strings.Contains(r.URL, key) {
			t.Errorf("the key is in the address %s", r.URL)
		}
	}
	if cookie := browser.Eval[string](f.Page, "document.cookie"); strings.Contains(cookie, "comfygo") {
		t.Errorf("scripts can read the cookie: %s", cookie)
	}
	browser.Eval[chromedp.Void](f.Page, "fetch('/logout', {method: 'POST'})")
	f.WaitFor("it is gone", "fetch('/api/queue').then(r => r.status === 401)") // not by reloading: the page asks whether to leave
	f.WaitFor("the page asks for the key again", "fetch('/', {headers: {Accept: 'text/html'}}).then(r => r.text()).then(t => t.includes('id=\"key\"'))")
}

package webhook_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"comfygo/queue"
	"comfygo/queue/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url   string
		allow string
		ok    bool
	}{
		{url: "https://example.com/hook", ok: true},
		{url: "http://8.8.8.8:8080/x?y=1", ok: true},
		{url: "https://[2606:4700::1111]/", ok: true},
		{url: "ftp://example.com/"},
		{url: "file:///etc/passwd"},
		{url: "https://"},
		{url: "https://user:pass@example.com/"},
		{url: "https://exa mple.com/"},
		{url: "https://example.com/" + strings.Repeat("x", 3000)},
		{url: "http://127.0.0.1/"},
		{url: "http://127.1.2.3:8188/prompt"},
		{url: "http://localhost/"},
		{url: "http://LOCALHOST:8188/"},
		{url: "http://x.localhost/"},
		{url: "http://0.0.0.0/"},
		{url: "http://10.1.2.3/"},
		{url: "http://192.168.0.1/"},
		{url: "http://172.16.0.1/"},
		{url: "http://169.254.169.254/latest/meta-data"},
		{url: "http://100.64.0.1/"},
		{url: "http://224.0.0.1/"},
		{url: "http://255.255.255.255/"},
		{url: "http://[::1]/"},
		{url: "http://[::]/"},
		{url: "http://[::ffff:127.0.0.1]/"},
		{url: "http://[::ffff:10.0.0.1]/"},
		{url: "http://[64:ff9b::7f00:1]/"},
		{url: "http://[2002:7f00:1::]/"},
		{url: "http://[fe80::1%25eth0]/"},
		{url: "http://[fd00::1]/"},
		{url: "http://[ff02::1]/"},
		{url: "http://10.1.2.3/", allow: "10.0.0.0/8", ok: true},
		{url: "http://[::ffff:10.1.2.3]/", allow: "10.0.0.0/8", ok: true},
		{url: "http://11.1.2.3/", allow: "10.0.0.0/8", ok: true},
		{url: "http://127.0.0.1/", allow: "10.0.0.0/8"},
		{url: "http://127.0.0.1:99/", allow: "127.0.0.1", ok: true},
		{url: "http://LocalHost:99/", allow: "localhost", ok: true},
	}
	for _, tt := range tests {
		t.Run(tt.url[:min(60, len(tt.url))], func(t *testing.T) {
			t.Parallel()
			var allow []string
			if tt.allow != "" {
				allow = []string{tt.allow}
			}
			g, err := webhook.NewGuard(allow)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.CheckURL(tt.url); (err == nil) != tt.ok {
				t.Errorf("allowed: %v (%v)", err == nil, err)
			}
		})
	}
	for _, bad := range []string{"", "10.0.0.0/99", "a/b"} {
		if _, err := webhook.NewGuard([]string{bad}); err == nil {
			t.Errorf("%q is no host or network", bad)
		}
	}
}

// receiver answers with a status and remembers what came.
type receiver struct {
	*httptest.Server
	got chan *http.Request
}

func newReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{got: make(chan *http.Request, 10)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		r.got <- req
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func sender(t *testing.T, allow ...string) *webhook.Sender {
	t.Helper()
	g, err := webhook.NewGuard(allow)
	if err != nil {
		t.Fatal(err)
	}
	s := webhook.NewSender(g)
	t.Cleanup(s.Close)
	return s
}

func TestSend(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 204: true, 302: false, 404: false, 500: false} {
		r := newReceiver(t, status)
		d := queue.Delivery{ID: "an-id", URL: r.URL + "/hook", Secret: "key", Body: []byte(`{"a": 1}`)}
		if err := sender(t, "127.0.0.1").Send(t.Context(), d); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		req := <-r.got
		body, _ := io.ReadAll(req.Body)
		at := req.Header.Get("Webhook-Timestamp")
		if string(body) != `{"a": 1}` || req.URL.Path != "/hook" || req.Header.Get("Webhook-Id") != "an-id" || at == "" ||
			req.Header.Get("Webhook-Signature") != webhook.Sign("key", "an-id", at, body) {
			t.Errorf("%d: got %s %v", status, body, req.Header)
		}
		if len(r.got) > 0 {
			t.Errorf("%d: a redirect was followed", status)
		}
	}
}

// TestSignature compares with a value computed by another program: printf 'msg_1.1700000000.{}' | openssl dgst -sha256
// -hmac key -binary | base64.
func TestSignature(t *testing.T) {
	t.Parallel()
	if got := webhook.Sign("key", "msg_1", "1700000000", []byte("{}")); got != "v1,XaXLFEFQ69Q4+demDWPEv5ydXczDW2mM5crCUEFcFBA=" {
		t.Errorf("signature %s", got)
	}
}

// TestNamesAreCheckedWhenDialled sends to a name that leads to this machine.
func TestNamesAreCheckedWhenDialled(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	port := r.URL[strings.LastIndex(r.URL, ":"):]
	g, err := webhook.NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	for address, ok := range map[string]bool{"127.0.0.1:80": false, "[::1]:80": false, "10.0.0.1:443": false, "9.9.9.9:443": true, "x": false} {
		if err := g.Connect(address); (err == nil) != ok {
			t.Errorf("connecting to %s: %v", address, err)
		}
	}
	// Spellings that some resolvers take for 127.0.0.1.
	for _, host := range []string{"localhost.", "127.1", "2130706433", "0x7f.1"} {
		if err := sender(t).Send(t.Context(), queue.Delivery{ID: "x", URL: "http://" + host + port, Body: []byte("{}")}); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if len(r.got) > 0 {
		t.Error("something arrived")
	}
	if err := sender(t, "localhost").Send(t.Context(), queue.Delivery{ID: "x", URL: "http://localhost" + port, Body: []byte("{}")}); err != nil {
		t.Errorf("an allowed name: %v", err)
	}
}

package reply_test

import (
	"mime"
	"testing"

	"comfygo/server/reply"
)

func TestFilename(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.png": "a.png", `a"; filename="evil.html`: `a"; filename="evil.html`, `back\slash`: `back\slash`, "new\r\nline\x00": "newline",
	} {
		kind, params, err := mime.ParseMediaType("inline; " + reply.Filename(name))
		if err != nil || kind != "inline" || len(params) != 1 || params["filename"] != want {
			t.Errorf("%q: %s %q, %v; want %q", name, kind, params, err, want)
		}
	}
}

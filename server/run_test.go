package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/server"
	"comfygo/server/logs"
)

const (
	quick = `{"1": {"class_type": "Number", "inputs": {"value": %d}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}`
	slow  = `{"1": {"class_type": "Wait", "inputs": {"seed": %d}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}`
)

func TestRunAndItsMessages(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mine, other := r.dial("mine"), r.dial("other")
	id := r.queue(`{"client_id": "mine", "extra_data": {"api_key_comfy_org": "hush", "k": 1}, "prompt": ` + fmt.Sprintf(quick, 7) + `}`)
	var got []string
	for len(got) == 0 || got[len(got)-1] != "executing null" {
		got = append(got, r.next(mine))
	}
	got = slices.DeleteFunc(got, func(m string) bool { return m == "progress_state" })
	want := []string{
		"status", "status", "execution_start", "execution_cached", "executing", "executing", "executed",
		"execution_success", "status", "executing null",
	}
	if !slices.Equal(got, want) {
		t.Errorf("messages\n%v, want\n%v", got, want)
	}
	for range 3 {
		if m := r.next(other); m != "status" {
			t.Errorf("another client got %s", m)
		}
	}
	a := r.do("GET", "/history/"+id, "")
	for _, want := range []string{`"outputs": {"2": {"text": [7]}}`, `"status_str": "success"`, `{"k": 1, "client_id": "mine", "create_time": `, `"meta": {"2": `} {
		if !strings.Contains(a.body, want) {
			t.Errorf("history lacks %s: %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "hush") {
		t.Error("a secret got into history")
	}
	if a := r.do("GET", "/api/jobs/"+id, ""); !strings.Contains(a.body, `"status": "completed"`) {
		t.Errorf("the job is %s", a.body)
	}
}

func TestQueueInterruptAndJobs(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	running := r.queue(`{"prompt": ` + fmt.Sprintf(slow, 1) + `}`)
	r.until("the first prompt to run", func() bool { return strings.Contains(r.do("GET", "/queue", "").body, `"queue_running": [[`) })
	second := r.queue(`{"prompt": ` + fmt.Sprintf(slow, 2) + `, "extra_data": {"extra_pnginfo": {"workflow": {"id": "wf"}}}}`)
	front := r.queue(`{"front": true, "prompt": ` + fmt.Sprintf(slow, 3) + `}`)
	var q struct {
		Pending [][]any `json:"queue_pending"`
	}
	r.get("/queue", &q)
	if len(q.Pending) != 2 || q.Pending[0][1] != front || q.Pending[1][1] != second || q.Pending[0][0] != -2.0 {
		t.Errorf("waiting: %v", q.Pending)
	}
	if a := r.do("GET", "/api/jobs?workflow_id=wf&status=pending", ""); !strings.Contains(a.body, second) || strings.Contains(a.body, front) {
		t.Errorf("jobs of the workflow: %s", a.body)
	}
	r.do("POST", "/interrupt", `{"prompt_id": "`+second+`"}`)
	if a := r.do("GET", "/prompt", ""); !strings.Contains(a.body, "3") {
		t.Errorf("after interrupting what does not run: %s", a.body)
	}
	if a := r.do("POST", "/api/jobs/"+second+"/cancel", ""); a.body != `{"cancelled": true}` {
		t.Errorf("cancelling: %s", a.body)
	}
	r.do("POST", "/interrupt", `{"prompt_id": "`+running+`"}`)
	r.until("the interrupted prompt", func() bool { return r.finished(running) })
	if a := r.do("GET", "/api/jobs/"+running, ""); !strings.Contains(a.body, `"status": "cancelled"`) || !strings.Contains(a.body, "execution_interrupted") {
		t.Errorf("the interrupted job: %s", a.body)
	}
	r.until("the last prompt to run", func() bool { return strings.Contains(r.do("GET", "/queue", "").body, `"queue_running": [[`) })
	r.do("POST", "/interrupt", "")
	r.until("an empty queue", func() bool { return strings.Contains(r.do("GET", "/prompt", "").body, `: 0`) })
	if a := r.do("GET", "/history?max_items=1", ""); strings.Contains(a.body, running) || !strings.Contains(a.body, front) {
		t.Errorf("the last of history: %s", a.body)
	}
}

func TestPreviewsForOldAndNewClients(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for client, want := range map[string]string{"old": "binary 1", "new": "binary 4 animated"} {
		conn := r.dial(client)
		if client == "new" {
			flags := `{"type": "feature_flags", "data": {"supports_preview_metadata": true}}`
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(flags)); err != nil {
				t.Fatal(err)
			}
			if m := r.next(conn); m != "feature_flags" {
				t.Fatalf("the answer is %s", m)
			}
		}
		r.queue(`{"client_id": "` + client + `", "prompt": ` + fmt.Sprintf(slow, len(client)+int(client[0])) + `}`)
		m := ""
		for !strings.HasPrefix(m, "binary") {
			m = r.next(conn)
		}
		if m != want {
			t.Errorf("%s client: %s, want %s", client, m, want)
		}
		r.do("POST", "/interrupt", "")
		for m != "executing null" {
			if m = r.next(conn); strings.HasPrefix(m, "binary") {
				t.Errorf("%s client got %s too", client, m)
			}
		}
	}
}

func TestShutdownWithARunningPromptAndSockets(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	conn := r.dial("a")
	r.queue(`{"prompt": ` + fmt.Sprintf(slow, 1) + `}`)
	r.until("the prompt to run", func() bool { return strings.Contains(r.do("GET", "/queue", "").body, `"queue_running": [[`) })
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				ended <- err
				return
			}
		}
	}()
	begin := time.Now()
	r.stop()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ended with %v", err)
	}
}

// TestBrokenOffUpload cuts the connection in the middle of a file: nothing of it may stay.
func TestBrokenOffUpload(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /upload/image HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nContent-Type: multipart/form-data; boundary=B\r\n\r\n"+
		"--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"half.png\"\r\n\r\n%s", strings.Repeat("x", 100000))
	if err != nil {
		t.Fatal(err)
	}
	staged := func() int {
		list, _ := filepath.Glob(filepath.Join(r.base, "temp", ".upload-*"))
		return len(list)
	}
	r.until("the upload to begin", func() bool { return staged() == 1 })
	_ = conn.Close()
	r.until("the upload to be cleared away", func() bool { return staged() == 0 })
	if _, err := os.Stat(filepath.Join(r.base, "input", "half.png")); err == nil {
		t.Error("half an upload was kept")
	}
}

func TestMaskKeepsTheImage(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	form := func(name, image, ref string) string {
		return "--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"" + name + "\"\r\n\r\n" + image +
			"\r\n--B\r\nContent-Disposition: form-data; name=\"original_ref\"\r\n\r\n" + ref + "\r\n--B--\r\n"
	}
	const ref = `{"filename": "pic.png", "type": "input"}`
	head := []string{"Content-Type", "multipart/form-data; boundary=B"}
	if a := r.do("POST", "/upload/mask", form("m.png", string(testPNG(t, 8, 6)), ref), head...); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want, got := r.do("GET", "/view?filename=pic.png&type=input&channel=rgb", ""), r.do("GET", "/view?filename=m.png&type=input&channel=rgb", "")
	if want.body != got.body || got.status != 200 {
		t.Error("the colours of the masked image are not the original's")
	}
	if a := r.do("POST", "/upload/mask", form("n.png", string(testPNG(t, 3, 3)), ref), head...); a.status != 400 {
		t.Errorf("a mask of another size: %d %s", a.status, a.body)
	}
	if _, err := os.Stat(filepath.Join(r.base, "input", "n.png")); err == nil {
		t.Error("a mask of another size was kept")
	}
}

func TestHugeImageIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	bomb := testPNG(t, 8, 6)
	copy(bomb[16:], []byte{0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30}) // 30000x30000, the checksum no longer right
	write(t, filepath.Join(r.base, "input", "bomb.png"), bomb)
	begin := time.Now()
	if a := r.do("GET", "/view?filename=bomb.png&type=input&preview=webp", ""); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("refusing took %v", took)
	}
}

// TestStrangeConnections sends what no honest client does; the server must answer afterwards.
func TestStrangeConnections(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for name, text := range map[string]string{
		"no http":          "hello\r\n\r\n",
		"two lengths":      "POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"length and chunk": "POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"bad chunk":        "POST /prompt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"bad escape":       "GET /view?filename=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"bad path escape":  "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"huge header":      "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"no host":          "GET /prompt HTTP/1.1\r\n\r\n",
		"bad upgrade":      "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"trace":            "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"proxy":            "GET http://elsewhere/prompt HTTP/1.1\r\nHost: x\r\n\r\n",
		"connect":          "CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte(text)) // the server may close before it has read all
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if strings.HasPrefix(line, "HTTP/1.1 5") {
			t.Errorf("%s: %s", name, line)
		}
		_ = conn.Close()
	}
	if a := r.do("GET", "/prompt", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestLogSubscription(t *testing.T) {
	t.Parallel()
	logs := logs.NewBuffer(3)
	r := start(t, func(c *server.Config) { c.Logs = logs })
	for _, line := range []string{"one\n", "two\n", "50%", "\r60%", "\r70%\n"} {
		_, _ = logs.Write([]byte(line))
	}
	var raw struct{ Entries []struct{ T, M string } }
	r.get("/internal/logs/raw", &raw)
	var lines []string
	for _, e := range raw.Entries {
		lines = append(lines, e.M)
	}
	if !slices.Equal(lines, []string{"one\n", "two\n", "\r70%\n"}) {
		t.Errorf("kept %q", lines)
	}
	conn := r.dial("reader")
	if a := r.do("PATCH", "/internal/logs/subscribe", `{"clientId": "reader", "enabled": true}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	_, _ = logs.Write([]byte("fresh\n"))
	if m := r.next(conn); m != "logs" {
		t.Errorf("got %s", m)
	}
}

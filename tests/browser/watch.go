package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// The kinds of problem.
const (
	ConsoleError  = "console"   // console.error, and what the browser itself reports as an error
	Exception     = "exception" // thrown and not caught, rejected promises too
	FailedRequest = "request"   // answered with 400 or more, or not at all
)

// Problem is one fault of a page.
type Problem struct {
	Kind string // ConsoleError, Exception or FailedRequest
	Text string // what the console shows; of a request "STATUS METHOD URL"
	URL  string // what it is about or where it was thrown, may be empty
}

func (p Problem) String() string {
	if p.URL == "" || strings.Contains(p.Text, p.URL) {
		return p.Kind + ": " + p.Text
	}
	return fmt.Sprintf("%s: %s (%s)", p.Kind, p.Text, p.URL)
}

// Request is one HTTP request of a page.
type Request struct {
	Method, URL string
	Body        string // what was posted, where the browser tells it
	Status      int64  // 0 while there is no answer
	Type        string // media type of the answer
	Failure     string // why there was no answer: net::ERR_…
	Cancelled   bool   // given up by the page
}

// Frame is one text message on a WebSocket of the page.
type Frame struct {
	Sent bool
	Text string // "" for a binary one
	Size int    // bytes of the payload as the protocol carries it
}

// watch records the messages of a page's tab. Its method see runs in the loop that reads them.
type watch struct {
	mu       sync.Mutex
	problems []Problem
	logged   []string
	requests []*Request
	byID     map[network.RequestID]*Request
	frames   []Frame
}

func newWatch() *watch { return &watch{byID: make(map[network.RequestID]*Request)} }

func (w *watch) see(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		text := consoleText(e.Args)
		w.logged = append(w.logged, fmt.Sprint(e.Type)+": "+text)
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			w.problems = append(w.problems, Problem{Kind: ConsoleError, Text: text})
		}
	case *runtime.EventExceptionThrown:
		w.problems = append(w.problems, exception(e.ExceptionDetails))
	case *log.EventEntryAdded:
		// The events below have more details of failed requests.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			w.problems = append(w.problems, Problem{Kind: ConsoleError, Text: e.Entry.Text, URL: e.Entry.URL})
		}
	case *network.EventWebSocketFrameReceived:
		w.frame(false, e.Response)
	case *network.EventWebSocketFrameSent:
		w.frame(true, e.Response)
	default:
		w.request(event)
	}
}

// request follows HTTP requests; mu is held.
func (w *watch) request(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r := &Request{Method: e.Request.Method, URL: e.Request.URL}
		for _, part := range e.Request.PostDataEntries {
			r.Body += string(part.Bytes)
		}
		w.requests = append(w.requests, r)
		w.byID[e.RequestID] = r
	case *network.EventResponseReceived:
		r := w.byID[e.RequestID]
		if r == nil {
			return
		}
		r.Status, r.Type = e.Response.Status, e.Response.MimeType
		if r.Status >= http.StatusBadRequest {
			w.problems = append(w.problems, Problem{FailedRequest, fmt.Sprintf("%d %s %s", r.Status, r.Method, r.URL), r.URL})
		}
	case *network.EventLoadingFailed:
		r := w.byID[e.RequestID]
		if r == nil {
			return
		}
		r.Failure, r.Cancelled = e.ErrorText, e.Canceled
		// Requests that the page aborts itself, and bodies that it does not read after an answer, are not
		// failures.
		if !e.Canceled && r.Status == 0 {
			w.problems = append(w.problems, Problem{FailedRequest, fmt.Sprintf("%s %s %s", r.Failure, r.Method, r.URL), r.URL})
		}
	}
}

func (w *watch) frame(sent bool, f *network.WebSocketFrame) {
	const textFrame = 1
	frame := Frame{Sent: sent, Size: len(f.PayloadData)}
	if f.Opcode == textFrame {
		frame.Text = string(f.PayloadData)
	}
	w.frames = append(w.frames, frame)
}

// forget drops what was kept; requests under way are still followed.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems, w.logged, w.requests, w.frames = nil, nil, nil, nil
}

func exception(d *runtime.ExceptionDetails) Problem {
	text := d.Text
	if d.Exception != nil && d.Exception.Description != "" {
		text += " " + d.Exception.Description
	}
	return Problem{Kind: Exception, Text: text, URL: d.URL}
}

// consoleText joins what was logged: strings as they are, everything else as the browser describes it.
func consoleText(args []*runtime.RemoteObject) string {
	words := make([]string, 0, len(args))
	for _, a := range args {
		var s string
		switch {
		case len(a.Value) > 0 && json.Unmarshal(a.Value, &s) == nil:
			words = append(words, s)
		case a.Description != "":
			words = append(words, a.Description)
		default:
			words = append(words, string(a.Value))
		}
	}
	return strings.Join(words, " ")
}

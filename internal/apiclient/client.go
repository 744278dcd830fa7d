// Package apiclient talks to a comfygo server as any client would: over HTTP and WebSocket.
//
// The demo, the benchmarks and the black-box tests use it. It knows the public API only and imports
// nothing of the server.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// Client speaks to one server. The zero HTTP client is http.DefaultClient.
type Client struct {
	Base string // http://host:port, without a slash at the end
	HTTP *http.Client
	Key  string // API key, when the server asks for one
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Method, Path string
	Code         int
	Body         []byte
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %.300s", e.Method, e.Path, e.Code, bytes.TrimSpace(e.Body))
}

// Do sends one request and returns the body of a 2xx answer; other answers are *StatusError.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &StatusError{Method: method, Path: path, Code: resp.StatusCode, Body: data}
	}
	return data, nil
}

// Get fetches a path into v, which may be nil to drop the answer.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	data, err := c.Do(ctx, http.MethodGet, path, "", nil)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	return nil
}

// Post sends in as JSON and decodes the answer into out; both may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("writing the request of %s: %w", path, err)
		}
		body = bytes.NewReader(text)
	}
	data, err := c.Do(ctx, http.MethodPost, path, "application/json", body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	return nil
}

// Queue posts an API workflow and returns the prompt's id.
func (c *Client) Queue(ctx context.Context, workflow any, clientID string) (string, error) {
	in := map[string]any{"prompt": workflow}
	if clientID != "" {
		in["client_id"] = clientID
	}
	var out struct {
		ID string `json:"prompt_id"`
	}
	if err := c.Post(ctx, "/prompt", in, &out); err != nil {
		return "", err
	}
	return out.ID, nil
}

// File is one file of a result, as /history names it and /view serves it.
type File struct {
	Name      string `json:"filename"`
	Subfolder string `json:"subfolder"`
	Type      string `json:"type"`
}

// Result is a prompt's entry in /history.
type Result struct {
	Outputs map[string]map[string]json.RawMessage `json:"outputs"`
	Status  struct {
		Text      string              `json:"status_str"`
		Completed bool                `json:"completed"`
		Messages  [][]json.RawMessage `json:"messages"`
	} `json:"status"`
}

// Files lists the output files of one kind ("images", "latents") of a node.
func (r *Result) Files(node, kind string) []File {
	var files []File
	if err := json.Unmarshal(r.Outputs[node][kind], &files); err != nil {
		return nil
	}
	return files
}

// Failure is the execution_error message of a failed prompt.
type Failure struct {
	NodeID    string `json:"node_id"`
	NodeType  string `json:"node_type"`
	Type      string `json:"exception_type"`
	Message   string `json:"exception_message"`
	Traceback any    `json:"traceback"`
}

// Failure returns the error of a prompt, or nil if it has none.
func (r *Result) Failure() *Failure {
	for _, m := range r.Status.Messages {
		if len(m) != 2 || string(m[0]) != `"execution_error"` {
			continue
		}
		var f Failure
		if err := json.Unmarshal(m[1], &f); err == nil {
			return &f
		}
	}
	return nil
}

// History returns the result of a prompt; ok is false while it has not ended.
func (c *Client) History(ctx context.Context, id string) (result Result, ok bool, err error) {
	var all map[string]Result
	if err := c.Get(ctx, "/history/"+id, &all); err != nil {
		return Result{}, false, err
	}
	result, ok = all[id]
	return result, ok, nil
}

// View fetches one file of a result.
func (c *Client) View(ctx context.Context, f File) ([]byte, error) {
	q := url.Values{"filename": {f.Name}, "subfolder": {f.Subfolder}, "type": {f.Type}}
	return c.Do(ctx, http.MethodGet, "/view?"+q.Encode(), "", nil)
}

// Upload sends an image to the input folder, over one of the same name.
func (c *Client) Upload(ctx context.Context, name string, data []byte) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("image", name)
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.WriteField("overwrite", "true")
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fmt.Errorf("writing the upload of %s: %w", name, err)
	}
	_, err = c.Do(ctx, http.MethodPost, "/upload/image", form.FormDataContentType(), &body)
	return err
}

// Message is one WebSocket text message.
type Message struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Socket is a WebSocket of one client.
type Socket struct{ conn *websocket.Conn }

// Dial opens the WebSocket of a client. Close it when done.
func (c *Client) Dial(ctx context.Context, clientID string) (*Socket, error) {
	address := "ws" + strings.TrimPrefix(c.Base, "http") + "/ws?clientId=" + url.QueryEscape(clientID)
	header := http.Header{}
	if c.Key != "" {
		header.Set("Authorization", "Bearer "+c.Key)
	}
	conn, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: c.HTTP, HTTPHeader: header})
	if err != nil {
		return nil, fmt.Errorf("opening the websocket: %w", err)
	}
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(256 << 20)
	return &Socket{conn: conn}, nil
}

// Next returns the next text message; binary previews are passed over.
func (s *Socket) Next(ctx context.Context) (Message, error) {
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil {
			return Message{}, fmt.Errorf("reading from the websocket: %w", err)
		}
		if kind != websocket.MessageText {
			continue
		}
		var m Message
		if err := json.Unmarshal(data, &m); err != nil {
			return Message{}, fmt.Errorf("reading a websocket message: %w", err)
		}
		return m, nil
	}
}

// Close ends the connection.
func (s *Socket) Close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") }

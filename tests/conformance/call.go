package conformance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comfygo/internal/pyjson"
)

// callTimeout bounds one exchange.
const callTimeout = time.Minute

const boundary = "----conformanceboundary7d1b"

// answer is the server's answer: header names in lower case, several values of one name joined.
type answer struct {
	status  int
	headers map[string]string
	data    []byte
}

// call sends a recorded request. It writes the bytes itself: paths are sent as they are recorded, however odd.
func (r *Run) call(request *pyjson.Object) (*answer, error) {
	body, contentType, err := r.body(request)
	if err != nil {
		return nil, err
	}
	headers := pyjson.NewObject()
	if contentType != "" {
		headers.Set("Content-Type", contentType)
	}
	for k, v := range request.Object("headers").All() {
		headers.Set(k, r.vars.text(pyjson.Str(v)))
	}
	method := request.String("method")
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\n", method, r.vars.text(request.String("path")))
	if !headers.Has("Host") {
		fmt.Fprintf(&head, "Host: %s\r\n", r.host)
	}
	for k, v := range headers.All() {
		fmt.Fprintf(&head, "%s: %s\r\n", k, v)
	}
	if body != nil || method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE" {
		if !headers.Has("Content-Length") {
			fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
		}
	}
	return r.exchange(method, r.vars.text(request.String("path")), append([]byte(head.String()+"\r\n"), body...))
}

func (r *Run) exchange(method, target string, message []byte) (*answer, error) {
	conn, err := net.DialTimeout("tcp", r.host, callTimeout)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	_, sent := conn.Write(message) // a server may refuse a body and answer before it has read all of it
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w (sending: %v)", err, sent)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if r.Watch != nil {
		r.Watch(method, target, res.StatusCode, res.Header, data)
	}
	a := &answer{status: res.StatusCode, headers: map[string]string{}, data: data}
	for k, v := range res.Header {
		a.headers[strings.ToLower(k)] = latin1([]byte(strings.Join(v, ", "))) // as the recordings have them
	}
	if res.ContentLength >= 0 && res.Header.Get("Content-Length") == "" && len(res.TransferEncoding) == 0 {
		a.headers["content-length"] = fmt.Sprint(res.ContentLength)
	}
	return a, nil
}

func (r *Run) body(request *pyjson.Object) (data []byte, contentType string, err error) {
	if v, given := request.Get("json"); given {
		data, err = pyjson.Marshal(r.vars.fill(v))
		return data, "application/json", err
	}
	if request.Has("multipart") {
		data, err = r.multipart(objects(request, "multipart"))
		return data, "multipart/form-data; boundary=" + boundary, err
	}
	if request.Has("body_text") {
		return []byte(r.vars.text(request.String("body_text"))), "", nil
	}
	if request.Has("body_base64") {
		data, err = base64.StdEncoding.DecodeString(request.String("body_base64"))
		return data, "", err
	}
	if request.Has("body_fixture") {
		data, err = r.fixture(request.String("body_fixture"))
		return data, "", err
	}
	return nil, "", nil
}

func (r *Run) fixture(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(r.fixtures, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("reading a fixture: %w", err)
	}
	return data, nil
}

func (r *Run) multipart(parts []*pyjson.Object) ([]byte, error) {
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, p.String("name"))
		if p.Has("filename") {
			fmt.Fprintf(&b, "; filename=\"%s\"", p.String("filename"))
		}
		if p.Has("content_type") {
			fmt.Fprintf(&b, "\r\nContent-Type: %s", p.String("content_type"))
		}
		b.WriteString("\r\n\r\n")
		data, err := r.part(p)
		if err != nil {
			return nil, err
		}
		b.Write(data)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), nil
}

func (r *Run) part(p *pyjson.Object) ([]byte, error) {
	if p.Has("fixture") {
		return r.fixture(p.String("fixture"))
	}
	if p.Has("base64") {
		return base64.StdEncoding.DecodeString(p.String("base64"))
	}
	if v, given := p.Get("zeros"); given {
		n, _ := v.(int64)
		return make([]byte, n), nil
	}
	v, _ := p.Get("text")
	v = r.vars.fill(v)
	if text, ok := v.(string); ok {
		return []byte(text), nil
	}
	return pyjson.Marshal(v)
}

// describe converts an answer's body to the recordings' form.
func (a *answer) describe(kind string) *pyjson.Object {
	data := a.unpacked()
	digest := func() *pyjson.Object {
		sum := sha256.Sum256(data)
		return pyjson.NewObject("kind", "bytes", "length", int64(len(data)), "sha256", hex.EncodeToString(sum[:]))
	}
	contentType := strings.ToLower(a.headers["content-type"])
	switch {
	case kind == "ignore":
		return pyjson.NewObject("kind", "ignore")
	case len(data) == 0:
		return pyjson.NewObject("kind", "empty")
	case kind == "bytes":
		return digest()
	}
	if strings.HasPrefix(contentType, "application/json") && kind != "text" {
		if v, err := pyjson.Unmarshal(data); err == nil {
			return pyjson.NewObject("kind", "json", "value", v)
		}
	}
	if img := describeImage(data); img != nil {
		return pyjson.NewObject("kind", "image", "image", img)
	}
	if kind == "text" || strings.HasPrefix(contentType, "text/plain") {
		return pyjson.NewObject("kind", "text", "value", strings.ToValidUTF8(string(data), "\ufffd"))
	}
	return digest()
}

func (a *answer) unpacked() []byte {
	var r io.Reader
	var err error
	switch a.headers["content-encoding"] {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(a.data))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(a.data))
	default:
		return a.data
	}
	if err != nil {
		return a.data
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return a.data
	}
	return out
}

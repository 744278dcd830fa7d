// Package webhook sends the messages of a queue's outbox over HTTP: signed, and only to where clients may make the server
// talk to. It must not know where messages come from or when they are tried again.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"comfygo/queue"
)

// Sender sends messages. It is safe for use from any goroutine.
type Sender struct {
	guard  *Guard
	public *http.Client // through the guard
	open   *http.Client // to hosts that are allowed by name
	now    func() time.Time
}

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 10 * time.Second
	// longestAnswer is the number of bytes of an answer that are read; its content is ignored.
	longestAnswer = 64 << 10
)

// NewSender makes a sender. Close frees it.
func NewSender(g *Guard) *Sender {
	return &Sender{
		guard: g, now: time.Now, public: client(&net.Dialer{Timeout: dialTimeout, Control: g.control}),
		open: client(&net.Dialer{Timeout: dialTimeout}),
	}
}

func client(d *net.Dialer) *http.Client {
	return &http.Client{
		// No proxy: it would connect to any address it is given.
		Transport: &http.Transport{
			DialContext: d.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: answerTimeout,
			IdleConnTimeout: time.Minute, MaxIdleConns: 16, MaxResponseHeaderBytes: longestAnswer, ForceAttemptHTTP2: true,
		},
		// A redirect is handled like any other answer that is not 2xx.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close ends connections that are kept for later.
func (s *Sender) Close() {
	s.public.CloseIdleConnections()
	s.open.CloseIdleConnections()
}

// Send posts one message. Anything but an answer of 2xx is an error.
func (s *Sender) Send(ctx context.Context, d queue.Delivery) error {
	if err := s.guard.CheckURL(d.URL); err != nil {
		return err
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "comfygo")
	req.Header.Set("Webhook-Id", d.ID)
	req.Header.Set("Webhook-Timestamp", at)
	if d.Secret != "" {
		req.Header.Set("Webhook-Signature", Sign(d.Secret, d.ID, at, d.Body))
	}
	c := s.public
	if s.guard.hosts[strings.ToLower(u.Hostname())] {
		c = s.open
	}
	resp, err := c.Do(req)
	if err != nil {
		// The URL may hold a secret of the receiver: it stays out of the log.
		var whole *url.Error
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return fmt.Errorf("sending to %s: %w", u.Host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, longestAnswer))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("sending to %s: the answer is %s", u.Host, resp.Status)
	}
	return nil
}

// Sign is the value of the header Webhook-Signature: "v1," and the HMAC-SHA256, in base64, of the message's id, the
// timestamp and the body, joined by dots (the scheme of standardwebhooks.com).
func Sign(secret, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	// Writing to a hash never fails.
	_, _ = mac.Write([]byte(id + "." + timestamp + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

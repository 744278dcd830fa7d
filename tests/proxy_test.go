package tests_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/big"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// publicName is the name by which the examples of deploy/ are reached.
const publicName = "images.example.org"

// TestProxies runs the nginx and Caddy examples in front of the program: TLS, Host and Origin, WebSocket, an upload and a range.
func TestProxies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	roots := selfSigned(t, dir)
	server := start(t, "--allowed-hosts", publicName, "--no-models")
	behind := strings.TrimPrefix(server.Base, "http://")
	for name, begin := range map[string]func(t *testing.T, dir, behind, at string){"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(name); err != nil {
				t.Skip(name + " is not installed")
			}
			at := freeAddress(t)
			begin(t, dir, behind, at)
			client := proxied(roots, at)
			waitFor(t, client, "https://"+publicName+"/health")
			throughProxy(t, client)
		})
	}
}

// TestProxyWithoutHost leaves out the line that passes Host on, as nginx's default does: the reason is in the body of the 403.
func TestProxyWithoutHost(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	roots := selfSigned(t, dir)
	server := start(t, "--allowed-hosts", publicName, "--no-models")
	at := freeAddress(t)
	runNginx(t, dir, strings.Replace(nginxExample(t, dir, strings.TrimPrefix(server.Base, "http://"), at), "proxy_set_header Host $host;", "", 1))
	client := proxied(roots, at)
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := client.Get("https://" + publicName + "/queue")
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 403 || !strings.Contains(string(body), "--allowed-hosts") || !strings.Contains(string(body), "comfygo") {
			t.Errorf("%d %s: want 403 with the name that arrived and what to do", resp.StatusCode, body)
		}
		return
	}
}

// throughProxy uses the server as a browser and a script do.
func throughProxy(t *testing.T, client *http.Client) {
	t.Helper()
	base := "https://" + publicName
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/queue", nil)
	req.Header.Set("Origin", base)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if status, body := fetch(t, client, req); status != 200 {
		t.Errorf("GET /queue with an Origin: %d %s", status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, "wss://"+publicName+"/ws?clientId=proxied", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {base}}})
	if err != nil {
		t.Fatal("WebSocket: ", err)
	}
	defer func() { _ = socket.CloseNow() }()
	if _, first, err := socket.Read(ctx); err != nil || !strings.Contains(string(first), `"status"`) {
		t.Errorf("the first message: %s, %v", first, err)
	}
	name := strings.ReplaceAll(t.Name(), "/", "_") + ".png"
	sent, form, kind := imageForm(t, name)
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/upload/image", form)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Origin", base)
	if status, body := fetch(t, client, req); status != 200 {
		t.Fatalf("uploading %d bytes: %d %s", len(sent), status, body)
	}
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/view?type=input&filename="+name, nil)
	req.Header.Set("Range", "bytes=1000-1999")
	if status, body := fetch(t, client, req); status != http.StatusPartialContent || !bytes.Equal(body, sent[1000:2000]) {
		t.Errorf("a range: %d, %d bytes", status, len(body))
	}
}

func fetch(t *testing.T, client *http.Client, req *http.Request) (int, []byte) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// imageForm is the upload of an image of more than 1 MB, the default limit of proxies.
func imageForm(t *testing.T, name string) (sent []byte, form io.Reader, kind string) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 700, 700))
	_, _ = rand.Read(img.Pix)
	var b, body bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("image", name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(b.Bytes())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), &body, w.FormDataContentType()
}

// proxied is a client for which every name leads to one address, and that trusts the test's certificate.
func proxied(roots *x509.CertPool, at string) *http.Client {
	var d net.Dialer
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext:     func(ctx context.Context, network, _ string) (net.Conn, error) { return d.DialContext(ctx, network, at) },
	}}
}

func waitFor(t *testing.T, client *http.Client, address string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := client.Get(address)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		if time.Now().After(deadline) {
			t.Fatal("the proxy does not answer: ", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// selfSigned writes cert.pem and key.pem for the public name and returns what trusts them.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: publicName}, DNSNames: []string{publicName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		text := pem.EncodeToMemory(block)
		if name == "cert.pem" {
			roots.AppendCertsFromPEM(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return roots
}

// nginxExample is deploy/nginx.conf with the test's addresses and certificate.
func nginxExample(t *testing.T, dir, behind, at string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"127.0.0.1:8188", behind, "listen 443 ssl", "listen "+at+" ssl",
		"/etc/ssl/certs/images.example.org.pem", filepath.Join(dir, "cert.pem"), "/etc/ssl/private/images.example.org.key", filepath.Join(dir, "key.pem"),
	).Replace(string(text))
}

func startNginx(t *testing.T, dir, behind, at string) {
	runNginx(t, dir, nginxExample(t, dir, behind, at))
}

// runNginx runs nginx in the foreground with one site.
func runNginx(t *testing.T, dir, site string) {
	t.Helper()
	work := filepath.Join(dir, "nginx")
	if err := os.MkdirAll(work, 0o700); err != nil {
		t.Fatal(err)
	}
	var temps strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temps, "%s_temp_path %s;\n", kind, filepath.Join(work, kind))
	}
	conf := filepath.Join(work, "nginx.conf")
	text := "daemon off;\nmaster_process off;\npid " + work + "/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" + temps.String() + site + "}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProxy(t, exec.Command("nginx", "-p", work, "-c", conf))
}

// startCaddy runs deploy/Caddyfile with the test's certificate.
func startCaddy(t *testing.T, dir, behind, at string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(at)
	site := strings.Replace(string(text), publicName+" {", publicName+":"+port+" {\n\ttls "+filepath.Join(dir, "cert.pem")+" "+filepath.Join(dir, "key.pem"), 1)
	site = "{\n\tadmin off\n\tauto_https off\n}\n" + strings.Replace(site, "127.0.0.1:8188", behind, 1)
	conf := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(conf, []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("caddy", "run", "--config", conf, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	runProxy(t, cmd)
}

// runProxy starts a proxy and ends it with the test.
func runProxy(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the proxy printed:\n%s", said.String())
		}
	})
}

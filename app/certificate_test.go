package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comfygo/app"
	"comfygo/cli"
)

// writePair writes a certificate for 127.0.0.1 and its key.
func writePair(t *testing.T, dir, name string) (keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for path, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: private}, certFile: {Type: "CERTIFICATE", Bytes: cert}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return keyFile, certFile
}

// TestCertificateIsReadAgain changes the certificate under a socket that listens; a broken one changes nothing.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, cert := writePair(t, dir, "first")
	pair, ends, err := app.ListenTLS(t.Context(), cli.Config{Listen: "127.0.0.1", TLSKeyFile: key, TLSCertFile: cert})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ends[0].Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(context.Background())
			_ = conn.Close()
		}
	}()
	shown := func() string {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", ends[0].Addr().String()) //nolint:gosec // our own certificate
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := shown(); got != "first" {
		t.Errorf("the certificate is %s", got)
	}
	writePair(t, dir, "second")
	if got := shown(); got != "first" {
		t.Errorf("before it is read again the certificate is %s", got)
	}
	if err := pair.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != "second" {
		t.Errorf("read again, the certificate is %s", got)
	}
	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pair.Reload(); err == nil {
		t.Error("a file without a certificate was read")
	}
	if got := shown(); got != "second" {
		t.Errorf("after a broken file the certificate is %s", got)
	}
	if err := ends[0].Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// TestReadableTLSKey: others of the machine could take the server's place with it.
func TestReadableTLSKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, cert := writePair(t, dir, "first")
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o604: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		got, err := app.TLSWarnings(cli.Config{TLSKeyFile: key, TLSCertFile: cert})
		if err != nil || (len(got) > 0) != warns {
			t.Errorf("mode %04o: %q, %v", mode, got, err)
		}
	}
}

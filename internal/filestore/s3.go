package filestore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"comfygo/folders"
)

// S3Config configures the access to a bucket.
type S3Config struct {
	// URL is s3://BUCKET or s3://BUCKET/PREFIX.
	URL string
	// Endpoint is the address of the server, http:// or https://; "" means that of AWS.
	Endpoint string
	// Region may be "": the store is asked for it then.
	Region string
	// AccessKey and SecretKey, for tests; if they are empty, the usual variables, files and services of AWS are used.
	AccessKey, SecretKey string
}

// S3 is a store in a bucket of an S3 server. The server must honour If-None-Match on PUT, for names that one of several processes gets.
type S3 struct {
	client         *minio.Client
	bucket, prefix string
	where          string
}

var _ folders.Remote = (*S3)(nil)

// Metadata of objects.
const (
	metaDigest   = "Sha256"
	metaModified = "Modified"
	metaPut      = "Put" // another one each time that a file is put
)

// maxObject is the largest file that is put in one piece, which S3 bounds.
const maxObject = 5 << 30

// ParseS3 reads s3://BUCKET/PREFIX.
func ParseS3(text string) (bucket, prefix string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", fmt.Errorf("expected s3://BUCKET or s3://BUCKET/PREFIX, not %q", text)
	}
	if p := strings.Trim(path.Clean("/"+u.Path), "/"); p != "" {
		prefix = p + "/"
	}
	return u.Host, prefix, nil
}

// OpenS3 opens the store, and checks that the server has the required features.
func OpenS3(ctx context.Context, cfg S3Config) (*S3, error) {
	bucket, prefix, err := ParseS3(cfg.URL)
	if err != nil {
		return nil, err
	}
	endpoint := cfg.Endpoint
	if endpoint == "" {
		endpoint = "https://s3.amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("opening the file store: the endpoint %q is not http://HOST:PORT or https://HOST:PORT", endpoint)
	}
	who := credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, "")
	if cfg.AccessKey == "" {
		who = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: iamPatience}},
		})
	}
	const retries = 4
	client, err := minio.New(u.Host, &minio.Options{Creds: who, Secure: u.Scheme == "https", Region: cfg.Region, MaxRetries: retries})
	if err != nil {
		return nil, fmt.Errorf("opening the file store: %w", err)
	}
	s := &S3{client: client, bucket: bucket, prefix: prefix, where: "s3://" + bucket + "/" + prefix + " at " + u.Host}
	return s, s.probe(ctx)
}

const iamPatience = 5 * time.Second

// probe makes a name twice: the second time must be refused.
func (s *S3) probe(ctx context.Context) error {
	o := folders.Object{Name: ".comfygo-probe/" + rand.Text(), Size: 1, Modified: time.Now()}
	if _, err := s.Put(ctx, o, strings.NewReader("x"), true); err != nil {
		return err
	}
	_, err := s.Put(ctx, o, strings.NewReader("x"), true)
	if removing := s.Delete(ctx, o.Name); removing != nil {
		return removing
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.New("this S3 server ignores If-None-Match on PUT, so that two workers could overwrite each other's files")
	}
	return failed("opening", "", s.where, "use a server with conditional writes, or --files nats", err)
}

// Where implements folders.Remote.
func (s *S3) Where() string { return s.where }

// Close implements folders.Remote.
func (s *S3) Close() error { return nil }

// failed puts an error of the client into words.
func (s *S3) failed(doing, name string, err error) error {
	r := minio.ToErrorResponse(err)
	hint := "is the server running, and are --files-endpoint and the network right?"
	switch {
	case r.Code == minio.NoSuchKey, r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket && name != "":
		return fs.ErrNotExist
	case r.StatusCode == http.StatusPreconditionFailed, r.Code == minio.PreconditionFailed:
		return fs.ErrExist
	case r.Code == minio.NoSuchBucket:
		hint = "make the bucket, or correct --files"
	case r.StatusCode == http.StatusForbidden, r.StatusCode == http.StatusUnauthorized:
		hint = "are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and --files-region right, and may the key read, write, list and delete there?"
	case r.StatusCode == http.StatusInsufficientStorage, strings.Contains(r.Code, "StorageFull"), strings.Contains(r.Code, "QuotaExceeded"):
		hint = "the store is full: delete files there or give it more room"
	}
	return failed(doing, name, s.where, hint, err)
}

// Put implements folders.Remote.
func (s *S3) Put(ctx context.Context, o folders.Object, f io.ReadSeeker, create bool) (folders.Object, error) {
	if err := checkName(o.Name); err != nil {
		return o, s.failed("storing", o.Name, err)
	}
	if o.Size > maxObject {
		return o, failed("storing", o.Name, s.where, "keep such files in a shared directory (--files directory)", fmt.Errorf("it has %d bytes, and S3 takes %d in one piece", o.Size, int64(maxObject)))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return o, err
	}
	token := rand.Text()
	options := minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableMultipart: true,
		DisableContentSha256: o.Size == 0, // the client would send an empty body in chunks, without a length
		UserMetadata:         map[string]string{metaDigest: o.SHA256, metaModified: o.Modified.UTC().Format(time.RFC3339Nano), metaPut: token},
	}
	if create {
		options.SetMatchETagExcept("*")
	}
	info, err := s.putObject(ctx, o, f, options)
	if err != nil {
		err = s.failed("storing", o.Name, err)
		// After a lost answer the client tries again, and finds the object that it has stored itself.
		if create && errors.Is(err, fs.ErrExist) {
			if there, asking := s.client.StatObject(ctx, s.bucket, s.prefix+o.Name, minio.StatObjectOptions{}); asking == nil && there.UserMetadata[metaPut] == token {
				return s.object(there), nil
			}
		}
		return o, err
	}
	o.Version = info.ETag
	return o, nil
}

// putObject puts an object. A conflict with another request for the same name decides nothing: that one may fail.
func (s *S3) putObject(ctx context.Context, o folders.Object, f io.ReadSeeker, options minio.PutObjectOptions) (minio.UploadInfo, error) {
	const tries, first = 6, 50 * time.Millisecond
	for n, wait := 1, first; ; n, wait = n+1, 2*wait {
		info, err := s.client.PutObject(ctx, s.bucket, s.prefix+o.Name, f, o.Size, options)
		r := minio.ToErrorResponse(err)
		if err == nil || n == tries || r.StatusCode != http.StatusConflict || r.Code != "ConditionalRequestConflict" {
			return info, err
		}
		select {
		case <-ctx.Done():
			return info, context.Cause(ctx)
		case <-time.After(wait):
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return info, err
		}
	}
}

// Stat implements folders.Remote.
func (s *S3) Stat(ctx context.Context, name string) (folders.Object, error) {
	if checkName(name) != nil {
		return folders.Object{}, fs.ErrNotExist
	}
	info, err := s.client.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{})
	if err != nil {
		return folders.Object{}, s.failed("looking for", name, err)
	}
	return s.object(info), nil
}

func (s *S3) object(info minio.ObjectInfo) folders.Object {
	o := folders.Object{
		Name: strings.TrimPrefix(info.Key, s.prefix), Size: info.Size, Version: info.ETag, Modified: info.LastModified, Stored: info.LastModified,
	}
	for k, v := range info.UserMetadata {
		switch http.CanonicalHeaderKey(k) {
		case metaDigest:
			if b, err := hex.DecodeString(v); err == nil && len(b) > 0 {
				o.SHA256 = v
			}
		case metaModified:
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
				o.Modified = t
			}
		}
	}
	return o
}

// Get implements folders.Remote.
func (s *S3) Get(ctx context.Context, name string) (io.ReadCloser, folders.Object, error) {
	if checkName(name) != nil {
		return nil, folders.Object{}, fs.ErrNotExist
	}
	from, err := s.client.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, folders.Object{}, s.failed("fetching", name, err)
	}
	info, err := from.Stat()
	if err != nil {
		return nil, folders.Object{}, errors.Join(s.failed("fetching", name, err), from.Close())
	}
	return s3Reader{from, s, name}, s.object(info), nil
}

// s3Reader puts errors of reading into words.
type s3Reader struct {
	*minio.Object
	store *S3
	name  string
}

func (r s3Reader) Read(p []byte) (int, error) {
	n, err := r.Object.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.store.failed("fetching", r.name, err)
	}
	return n, err
}

// WriteTo hides the client's own method, whose errors are not readable.
func (r s3Reader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, onlyReader{r}) }

type onlyReader struct{ io.Reader }

// Delete implements folders.Remote.
func (s *S3) Delete(ctx context.Context, name string) error {
	if checkName(name) != nil {
		return nil
	}
	if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return s.failed("deleting", name, err)
	}
	return nil
}

// List implements folders.Remote.
func (s *S3) List(ctx context.Context, prefix string, deep bool, each func(folders.Object) error) error {
	ctx, cancel := context.WithCancel(ctx) // the client lists ahead
	defer cancel()
	for info := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: deep}) {
		if info.Err != nil {
			return s.failed("listing", prefix, info.Err)
		}
		if strings.HasSuffix(info.Key, "/") { // a folder
			continue
		}
		if err := each(s.object(info)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

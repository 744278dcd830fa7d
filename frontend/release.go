package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// DefaultVersion is the value of --front-end-version that means the installed package.
const DefaultVersion = "comfyanonymous/ComfyUI@latest"

// DefaultAPI is the address of the projects' list of releases.
const DefaultAPI = "https://api.github.com"

// Releases fetches builds of the front end from a project's release page.
type Releases struct {
	// Dir is the folder they go to, one below it for each project and version.
	Dir string
	// API is DefaultAPI when empty.
	API string
	// Client is the client to use; nil means one that gives up on an answer after 10 seconds.
	Client *http.Client
}

var versionPattern = regexp.MustCompile(`^([a-zA-Z0-9][a-zA-Z0-9-]{0,38})/([a-zA-Z0-9_.-]+)@(v?\d+\.\d+\.\d+[-._a-zA-Z0-9]*|latest|prerelease)$`)

// maxRelease bounds the unpacked size of a release; maxListing that of a list of releases.
const (
	maxRelease = 1 << 30
	maxListing = 64 << 20
)

// release is one entry of the release page.
type release struct {
	Tag        string `json:"tag_name"`
	Prerelease bool   `json:"prerelease"`
	Assets     []struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"assets"`
}

// Get returns the folder of a version "owner/repo@v1.2.3", "…@latest" or "…@prerelease". One with a leading v that has
// been fetched before needs no network.
func (r Releases) Get(ctx context.Context, version string) (string, error) {
	m := versionPattern.FindStringSubmatch(version)
	if m == nil || m[2] == "." || m[2] == ".." {
		return "", fmt.Errorf("reading the front end's version %q: it is not owner/repo@version", version)
	}
	owner, repo, wanted := m[1], m[2], m[3]
	home := filepath.Join(r.Dir, owner+"_"+repo)
	if dir := filepath.Join(home, strings.TrimLeft(wanted, "v")); strings.HasPrefix(wanted, "v") && isDir(dir) {
		return dir, nil
	}
	rel, err := r.find(ctx, owner+"/"+repo, wanted)
	if err != nil {
		return "", fmt.Errorf("looking for the front end %s: %w", version, err)
	}
	name := strings.TrimLeft(rel.Tag, "v")
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || name == "." {
		return "", fmt.Errorf("looking for the front end %s: its tag is %q", version, rel.Tag)
	}
	dir := filepath.Join(home, name)
	if isDir(dir) {
		return dir, nil
	}
	if err := r.fetch(ctx, rel, home, dir); err != nil {
		return "", fmt.Errorf("fetching the front end %s: %w", version, err)
	}
	return dir, nil
}

// find requests the release with the given version.
func (r Releases) find(ctx context.Context, project, wanted string) (release, error) {
	page := r.api() + "/repos/" + project + "/releases"
	if wanted == "latest" {
		var one release
		_, err := r.json(ctx, page+"/latest", &one)
		return one, err
	}
	for page != "" {
		var list []release
		next, err := r.json(ctx, page, &list)
		if err != nil {
			return release{}, err
		}
		for _, one := range list {
			if wanted == "prerelease" && one.Prerelease || one.Tag == wanted || one.Tag == "v"+wanted {
				return one, nil
			}
		}
		page = next
	}
	return release{}, fmt.Errorf("there is no release %s", wanted)
}

func (r Releases) api() string {
	if r.API == "" {
		return DefaultAPI
	}
	return strings.TrimSuffix(r.API, "/")
}

func (r Releases) get(ctx context.Context, url, accept string) (*http.Response, error) {
	client := r.Client
	if client == nil {
		client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ResponseHeaderTimeout: 10 * time.Second}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("asking %s: %s", url, resp.Status)
	}
	return resp, nil
}

var nextLink = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

// json decodes an answer and returns the address of the next page, if there is one.
func (r Releases) json(ctx context.Context, url string, v any) (next string, err error) {
	resp, err := r.get(ctx, url, "application/json")
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxListing)).Decode(v); err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	if m := nextLink.FindStringSubmatch(resp.Header.Get("Link")); m != nil {
		next = m[1]
	}
	return next, nil
}

// fetch downloads the release's dist.zip and unpacks it; dir appears whole or not at all.
func (r Releases) fetch(ctx context.Context, rel release, home, dir string) error {
	address := ""
	for _, a := range rel.Assets {
		if a.Name == "dist.zip" {
			address = a.URL
		}
	}
	if address == "" {
		return errors.New("the release has no dist.zip")
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(home, ".fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	archive := filepath.Join(work, "dist.zip")
	if err := r.save(ctx, address, archive); err != nil {
		return err
	}
	files := filepath.Join(work, "files")
	if err := unpack(archive, files, maxRelease); err != nil {
		return err
	}
	return os.Rename(files, dir)
}

func (r Releases) save(ctx context.Context, url, path string) error {
	resp, err := r.get(ctx, url, "application/octet-stream")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, maxRelease+1))
	if err == nil && n > maxRelease {
		err = errors.New("the archive is too large")
	}
	return errors.Join(err, f.Close())
}

package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// PagePolicy is the content security policy of the page: it needs nothing but its own style.
var PagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

type pageView struct {
	Style   template.CSS
	Version string
	Guarded bool
	Groups  []pageGroup
	Shapes  []pageShape
}

type pageGroup struct {
	ID, Name, What string
	Ops            []pageOp
}

type pageOp struct {
	ID, Method, Path, Twin, Summary, More string
	Public                                bool
	Params                                []pageParam
	Body                                  *pageBody
	Answers                               []pageAnswer
}

type pageParam struct {
	In, Name, Shape, What string
	Required              bool
}

type pageBody struct{ Type, Shape, What string }

type pageAnswer struct {
	Status                   int
	Name, Type, Shape, Codes string
	What                     string
}

type pageShape struct{ Name, Shape string }

// Page is the document for people, as HTML.
func Page(info Info, routes []Served) ([]byte, error) {
	served := map[Served]bool{}
	for _, r := range routes {
		served[r] = true
	}
	v := pageView{Style: template.CSS(pageStyle), Version: info.Version, Guarded: info.Guarded} //nolint:gosec // our own
	for _, g := range groups {
		pg := pageGroup{ID: strings.ReplaceAll(g.name, " ", "-"), Name: g.name, What: g.what}
		for _, o := range g.ops {
			if served[Served{o.method, o.path}] {
				pg.Ops = append(pg.Ops, o.page(served[Served{o.method, "/api" + o.path}]))
			}
		}
		if len(pg.Ops) > 0 {
			v.Groups = append(v.Groups, pg)
		}
	}
	for name, text := range named {
		v.Shapes = append(v.Shapes, pageShape{name, tidy(text)})
	}
	sort.Slice(v.Shapes, func(i, j int) bool { return v.Shapes[i].Name < v.Shapes[j].Name })
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("writing the page of the API: %w", err)
	}
	return b.Bytes(), nil
}

// tidy puts a shape on one line.
func tidy(text string) string { return strings.Join(strings.Fields(text), " ") }

func (o op) page(twin bool) pageOp {
	p := pageOp{ID: operationID(Served{o.method, o.path}), Method: o.method, Path: braces(o.path), Summary: o.summary, More: o.more, Public: o.public}
	if twin {
		p.Twin = "/api" + p.Path
	}
	for _, q := range o.params {
		p.Params = append(p.Params, pageParam{string(q.in), q.name, tidy(q.shape), q.what, q.required})
	}
	if o.body != nil {
		p.Body = &pageBody{o.body.contentType, tidy(o.body.shape), o.body.what}
	}
	for _, a := range o.answers {
		p.Answers = append(p.Answers, pageAnswer{a.status, http.StatusText(a.status), a.contentType, tidy(a.shape), strings.Join(a.codes, ", "), a.what})
	}
	sort.SliceStable(p.Answers, func(i, j int) bool { return p.Answers[i].Status < p.Answers[j].Status })
	return p
}

// Class is the style of an answer's status.
func (a pageAnswer) Class() string { return "s" + strconv.Itoa(a.Status/100) }

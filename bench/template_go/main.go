// What Go's text/template and html/template take for what template_render.c renders: Debian's default templates (argument),
// the same data, the types of Alertmanager's template package. Templates are parsed before the clock starts, although
// Alertmanager parses each text again for each notification. Prints "name nanoseconds-of-CPU" lines; the best of five.
package main

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"text/template"
	"time"
)

type pair struct{ Name, Value string }
type pairs []pair
type kv map[string]string

func (ps pairs) Values() []string {
	out := make([]string, 0, len(ps))
	for _, p := range ps {
		out = append(out, p.Value)
	}
	return out
}

func (ps pairs) Names() []string {
	out := make([]string, 0, len(ps))
	for _, p := range ps {
		out = append(out, p.Name)
	}
	return out
}

func (m kv) SortedPairs() pairs {
	out, keys, first := make(pairs, 0, len(m)), make([]string, 0, len(m)), 0
	for k := range m {
		if k == "alertname" {
			keys, first = append([]string{k}, keys...), 1
		} else {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys[first:])
	for _, k := range keys {
		out = append(out, pair{k, m[k]})
	}
	return out
}

func (m kv) Remove(names []string) kv {
	gone, out := make(map[string]struct{}, len(names)), kv{}
	for _, k := range names {
		gone[k] = struct{}{}
	}
	for k, v := range m {
		if _, ok := gone[k]; !ok {
			out[k] = v
		}
	}
	return out
}

func (m kv) Names() []string  { return m.SortedPairs().Names() }
func (m kv) Values() []string { return m.SortedPairs().Values() }

type alert struct {
	Status              string
	Labels, Annotations kv
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
	Fingerprint         string
}
type alerts []alert

func (as alerts) with(status string) []alert {
	out := []alert{}
	for _, a := range as {
		if a.Status == status {
			out = append(out, a)
		}
	}
	return out
}

func (as alerts) Firing() []alert   { return as.with("firing") }
func (as alerts) Resolved() []alert { return as.with("resolved") }

type data struct {
	Receiver, Status                              string
	Alerts                                        alerts
	GroupLabels, CommonLabels, CommonAnnotations kv
	ExternalURL                                   string
}

var sample = &data{
	Receiver: "team-x", Status: "firing", ExternalURL: "http://am.example:9093",
	Alerts: alerts{
		{Status: "firing", GeneratorURL: "http://prom.example/graph?g0.expr=up",
			Labels:      kv{"alertname": "HighCPU", "instance": "web-1:9100", "job": "node", "severity": "critical"},
			Annotations: kv{"summary": "CPU is high", "description": "CPU > 90% for 5m"}},
		{Status: "firing", GeneratorURL: "http://prom.example/graph?g0.expr=up",
			Labels:      kv{"alertname": "HighCPU", "instance": "web-2:9100", "job": "node", "severity": "critical"},
			Annotations: kv{"summary": "CPU is high"}}},
	GroupLabels:       kv{"alertname": "HighCPU"},
	CommonLabels:      kv{"alertname": "HighCPU", "job": "node", "severity": "critical"},
	CommonAnnotations: kv{"summary": "CPU is high"},
}

type executor interface {
	Execute(io.Writer, any) error
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func measure(name string, texts []executor, rounds int) {
	var out bytes.Buffer
	best := time.Hour
	for i := 0; i < 5; i++ {
		started := cpu()
		for k := 0; k < rounds; k++ {
			for _, t := range texts {
				out.Reset()
				check(t.Execute(&out, sample))
			}
		}
		if took := cpu() - started; took < best {
			best = took
		}
	}
	fmt.Printf("%-24s %8d\n", name, best.Nanoseconds()/int64(rounds))
}

func main() {
	functions := map[string]any{"toUpper": strings.ToUpper, "toLower": strings.ToLower,
		"join":     func(sep string, s []string) string { return strings.Join(s, sep) },
		"safeHtml": func(s string) htmltemplate.HTML { return htmltemplate.HTML(s) }}
	folder := os.Args[1]
	defaults, err := os.ReadFile(filepath.Join(folder, "default.tmpl"))
	check(err)
	mail, err := os.ReadFile(filepath.Join(folder, "email.tmpl"))
	check(err)
	plain := template.Must(template.New("").Option("missingkey=zero").Funcs(functions).Parse(string(defaults)))
	html := htmltemplate.Must(htmltemplate.New("").Option("missingkey=zero").Funcs(functions).Parse(string(defaults)))
	htmltemplate.Must(html.Parse(string(mail)))
	text := func(name, datum string) executor {
		t := template.Must(plain.Clone())
		return template.Must(t.New("").Parse(`{{ template "` + name + `" ` + datum + ` }}`))
	}
	slack := []executor{template.Must(template.Must(plain.Clone()).New("").Parse(`{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}`))}
	for _, name := range []string{"title", "titlelink", "pretext", "text", "fallback", "callbackid", "footer", "username", "iconemoji", "iconurl"} {
		slack = append(slack, text("slack.default."+name, "."))
	}
	measure("slack title", []executor{text("slack.default.title", ".")}, 50000)
	measure("list of alerts", []executor{text("__text_alert_list", ".Alerts")}, 50000)
	measure("slack, all its fields", slack, 20000)
	page := htmltemplate.Must(html.Clone())
	measure("email html", []executor{htmltemplate.Must(page.New("x").Parse(`{{ template "email.default.html" . }}`))}, 10000)
}

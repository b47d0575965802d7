package console

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Text has the contrast of WCAG 2.2 level AA (1.4.3: 4.5 to 1) on both backgrounds, in the light
// and in the dark. Borders and the bars of charts have 3 to 1 (1.4.11).
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there are no dark colors")
	}
	dark, _, _ = strings.Cut(dark, "}\n}")
	colors := make(map[string]string)
	variable := regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{6})`)
	for theme, text := range map[string]string{"light": light, "dark": dark} {
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			colors[theme+" "+m[1]] = m[2]
		}
	}
	for _, theme := range []string{"light ", "dark "} {
		for _, ground := range []string{"ground", "card"} {
			for name, least := range map[string]float64{"text": 4.5, "note": 4.5, "link": 4.5, "ok": 4.5,
				"busy": 4.5, "trouble": 4.5, "bar": 3} {
				front, back := colors[theme+name], colors[theme+ground]
				if front == "" || back == "" {
					t.Fatalf("there is no color %s%s or %s in %v", theme, name, ground, colors)
				}
				if got := contrast(front, back); got < least {
					t.Errorf("%s%s on %s: a contrast of %.2f, want %.1f", theme, name, ground, got, least)
				}
			}
		}
	}
}

// contrast is the ratio of WCAG 2.2.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(color string) (sum float64) {
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// Every text of the page has a translation.
func TestTranslations(t *testing.T) {
	html, err := files.ReadFile("templates/page.html")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\.T "([^"]*)"`).FindAllStringSubmatch(string(html), -1) {
		texts[m[1]] = true
	}
	for _, words := range stateWords {
		texts[words] = true
	}
	for _, words := range whyWords {
		texts[words] = true
	}
	for _, words := range doneWords {
		texts[words] = true
	}
	for text := range texts {
		if inChinese[text] == "" {
			t.Errorf("%q has no translation", text)
		}
	}
}

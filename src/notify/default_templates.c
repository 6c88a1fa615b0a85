/* The built-in templates, as the text that is parsed into every set. Parts that several receivers share (subject, lists,
 * bodies) are macros of template text: a template called from another costs a look-up per rendering, and these are the
 * texts that nearly every notification renders.
 *
 * White space is content here: the outputs are compared byte for byte (tests/conformance/templates.c). */
#include "notify/default_templates.h"

#define DEFINE(name, body) "{{ define \"" name "\" }}" body "{{ end }}"

#define SUBJECT "{{ template \"__subject\" . }}"
#define AM_URL  "{{ template \"__alertmanagerURL\" . }}"
#define AM_NAME "{{ template \"__alertmanager\" . }}"

#define ANNOTATIONS "{{ .CommonAnnotations.SortedPairs.Values | join \" \" }}"
#define IF_FIRING   "{{ if gt (len .Alerts.Firing) 0 }}"
#define IF_RESOLVED "{{ if gt (len .Alerts.Resolved) 0 }}"
#define END         "{{ end }}"
#define COLOR       "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}"

#define LIST(alerts)     "{{ template \"__text_alert_list\" " alerts " }}"
#define MARKDOWN(alerts) "{{ template \"__text_alert_list_markdown\" " alerts " }}"

/* Annotations, then what fires, then what is resolved; the second form has more room around its parts. */
#define BODY_TIGHT                                                                                 \
    ANNOTATIONS "\n" IF_FIRING "Alerts Firing:\n" LIST(".Alerts.Firing") END                       \
        "\n" IF_RESOLVED "Alerts Resolved:\n" LIST(".Alerts.Resolved") END
#define BODY_TAIL                                                                                  \
    IF_FIRING "\nAlerts Firing:\n" LIST(".Alerts.Firing") "\n" END                                 \
              "\n" IF_RESOLVED "\nAlerts Resolved:\n" LIST(".Alerts.Resolved") "\n" END "\n"
#define BODY_MARKDOWN                                                                              \
    "\n" IF_FIRING "\n# Alerts Firing:\n" MARKDOWN(".Alerts.Firing") "\n" END                      \
         "\n" IF_RESOLVED "\n# Alerts Resolved:\n" MARKDOWN(".Alerts.Resolved") "\n" END "\n"

/* The highest severity among the alerts: High stays, Medium replaces Low. */
#define PRIORITY_OF(alerts)                                                                        \
    "{{- range " alerts " }}"                                                                      \
    "{{- $severity := index .Labels \"severity\" }}"                                               \
    "{{- if eq $severity \"critical\" }}{{ $priority = \"High\" }}"                                \
    "{{- else if and (eq $severity \"warning\") (ne $priority \"High\") }}{{ $priority = \"Medium\" }}" \
    "{{- else if and (eq $severity \"info\") (eq $priority \"\") }}{{ $priority = \"Low\" }}"      \
    "{{- end }}{{ end }}"

static const char texts[] =
    DEFINE("__alertmanager", "Alertmanager")
    DEFINE("__alertmanagerURL", "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}")
    DEFINE("__subject",
           "[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}:{{ .Alerts.Firing | len }}{{ end }}] "
           "{{ .GroupLabels.SortedPairs.Values | join \" \" }} "
           "{{ if gt (len .CommonLabels) (len .GroupLabels) }}"
           "({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join \" \" }}{{ end }}){{ end }}")
    DEFINE("__description", "")
    DEFINE("__text_alert_list",
           "{{ range . }}Labels:\n"
           "{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "Annotations:\n"
           "{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "Source: {{ .GeneratorURL }}\n{{ end }}")
    DEFINE("__text_alert_list_markdown",
           "{{ range . }}\nLabels:\n"
           "{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "\nAnnotations:\n"
           "{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "\nSource: {{ .GeneratorURL }}\n{{ end }}\n")

    DEFINE("slack.default.title", SUBJECT)
    DEFINE("slack.default.username", AM_NAME)
    DEFINE("slack.default.fallback", SUBJECT " | " AM_URL)
    DEFINE("slack.default.callbackid", "")
    DEFINE("slack.default.pretext", "")
    DEFINE("slack.default.titlelink", AM_URL)
    DEFINE("slack.default.iconemoji", "")
    DEFINE("slack.default.iconurl", "")
    DEFINE("slack.default.text", "")
    DEFINE("slack.default.footer", "")
    DEFINE("slack.default.color", COLOR)

    DEFINE("pagerduty.default.description", SUBJECT)
    DEFINE("pagerduty.default.client", AM_NAME)
    DEFINE("pagerduty.default.clientURL", AM_URL)
    DEFINE("pagerduty.default.instances", LIST("."))

    DEFINE("opsgenie.default.message", SUBJECT)
    DEFINE("opsgenie.default.description", BODY_TIGHT)
    DEFINE("opsgenie.default.source", AM_URL)

    DEFINE("wechat.default.message", SUBJECT "\n" BODY_TIGHT "\nAlertmanagerUrl:\n" AM_URL)
    DEFINE("wechat.default.to_user", "")
    DEFINE("wechat.default.to_party", "")
    DEFINE("wechat.default.to_tag", "")
    DEFINE("wechat.default.agent_id", "")

    DEFINE("victorops.default.state_message", BODY_TIGHT)
    DEFINE("victorops.default.entity_display_name", SUBJECT)
    DEFINE("victorops.default.monitoring_tool", AM_NAME)

    DEFINE("pushover.default.title", SUBJECT)
    DEFINE("pushover.default.message", ANNOTATIONS "\n" BODY_TAIL)
    DEFINE("pushover.default.url", AM_URL)

    DEFINE("sns.default.subject", SUBJECT)
    DEFINE("sns.default.message", ANNOTATIONS "\n" BODY_TAIL)

    DEFINE("telegram.default.message", "\n" BODY_TAIL)

    DEFINE("discord.default.content", "")
    DEFINE("discord.default.title", SUBJECT)
    DEFINE("discord.default.message", "\n" BODY_TAIL)

    DEFINE("webex.default.message", ANNOTATIONS "\n" BODY_TAIL)

    DEFINE("msteams.default.summary", SUBJECT)
    DEFINE("msteams.default.title", SUBJECT)
    DEFINE("msteams.default.text", BODY_MARKDOWN)

    DEFINE("msteamsv2.default.title", SUBJECT)
    DEFINE("msteamsv2.default.text", BODY_MARKDOWN)

    DEFINE("jira.default.summary", SUBJECT)
    DEFINE("jira.default.description", BODY_MARKDOWN)
    DEFINE("jira.default.priority",
           "{{- $priority := \"\" }}" PRIORITY_OF(".Alerts.Firing")
           "{{- if eq $priority \"\" }}" PRIORITY_OF(".Alerts.Resolved") "{{ end }}"
           "{{- $priority }}")

    DEFINE("rocketchat.default.title", SUBJECT)
    DEFINE("rocketchat.default.alias", AM_NAME)
    DEFINE("rocketchat.default.titlelink", AM_URL)
    DEFINE("rocketchat.default.emoji", "")
    DEFINE("rocketchat.default.iconurl", "")
    DEFINE("rocketchat.default.text", "")

    DEFINE("mattermost.default.color", COLOR)
    DEFINE("mattermost.default.username", AM_NAME)
    DEFINE("mattermost.default.title", SUBJECT)
    DEFINE("mattermost.default.titlelink", AM_URL)
    DEFINE("mattermost.default.fallback", SUBJECT " | " AM_URL)
    DEFINE("mattermost.default.text", BODY_MARKDOWN)

    DEFINE("email.default.subject", SUBJECT);

/* Mail programs ignore style sheets: every element carries its own style. */
#define FONT  "font-family: 'Helvetica Neue', Helvetica, Arial, sans-serif; box-sizing: border-box;"
#define STYLE "margin: 0; " FONT " font-size: 14px;"

static const char email_html[] = "{{ define \"email.default.html\" }}"
    "\n"
    "\n"
    "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" "
        "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
    "<html xmlns=\"http://www.w3.org/1999/xhtml\" style=\"" STYLE "\">\n"
    "<head>\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\">\n"
    "<title>{{ template \"__subject\" . }}</title>\n"
    "<style>\n"
    "@media only screen and (max-width: 640px) {\n"
    "  body {\n"
    "    padding: 0 !important;\n"
    "  }\n"
    "\n"
    "  h1,\n"
    "h2,\n"
    "h3,\n"
    "h4 {\n"
    "    font-weight: 800 !important;\n"
    "    margin: 20px 0 5px !important;\n"
    "  }\n"
    "\n"
    "  h1 {\n"
    "    font-size: 22px !important;\n"
    "  }\n"
    "\n"
    "  h2 {\n"
    "    font-size: 18px !important;\n"
    "  }\n"
    "\n"
    "  h3 {\n"
    "    font-size: 16px !important;\n"
    "  }\n"
    "\n"
    "  .container {\n"
    "    padding: 0 !important;\n"
    "    width: 100% !important;\n"
    "  }\n"
    "\n"
    "  .content {\n"
    "    padding: 0 !important;\n"
    "  }\n"
    "\n"
    "  .content-wrap {\n"
    "    padding: 10px !important;\n"
    "  }\n"
    "\n"
    "  .invoice {\n"
    "    width: 100% !important;\n"
    "  }\n"
    "}\n"
    "</style>\n"
    "</head>\n"
    "\n"
    "<body itemscope itemtype=\"https://schema.org/EmailMessage\" style=\"" STYLE
        " -webkit-font-smoothing: antialiased; -webkit-text-size-adjust: none; height: "
        "100%; line-height: 1.6em; background-color: #f6f6f6; width: 100%;\">\n"
    "\n"
    "<table class=\"body-wrap\" style=\"" STYLE
        " background-color: #f6f6f6; width: 100%;\" width=\"100%\" bgcolor=\"#f6f6f6\">\n"
    "  <tr style=\"" STYLE "\">\n"
    "    <td style=\"" STYLE " vertical-align: top;\" valign=\"top\"></td>\n"
    "    <td class=\"container\" width=\"600\" style=\"" FONT
        " font-size: 14px; vertical-align: top; display: block; max-width: 600px; "
        "margin: 0 auto; clear: both;\" valign=\"top\">\n"
    "      <div class=\"content\" style=\"" FONT
        " font-size: 14px; max-width: 600px; margin: 0 auto; display: block; padding: "
        "20px;\">\n"
    "        <table class=\"main\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\""
        STYLE " background-color: #fff; border: 1px solid #e9e9e9; border-radius: 3px;\" "
        "bgcolor=\"#fff\">\n"
    "          <tr style=\"" STYLE "\">\n"
    "            {{ if gt (len .Alerts.Firing) 0 }}\n"
    "            <td class=\"alert alert-warning\" style=\"margin: 0; " FONT
        " vertical-align: top; font-size: 16px; color: #fff; font-weight: 500; padding: "
        "20px; text-align: center; border-radius: 3px 3px 0 0; background-color: "
        "#E6522C;\" valign=\"top\" align=\"center\" bgcolor=\"#E6522C\">\n"
    "              {{ .Alerts | len }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} "
        "for {{ range .GroupLabels.SortedPairs }}\n"
    "                {{ .Name }}={{ .Value }}\n"
    "              {{ end }}\n"
    "            </td>\n"
    "            {{ else }}\n"
    "            <td class=\"alert alert-good\" style=\"margin: 0; " FONT
        " vertical-align: top; font-size: 16px; color: #fff; font-weight: 500; padding: "
        "20px; text-align: center; border-radius: 3px 3px 0 0; background-color: "
        "#68B90F;\" valign=\"top\" align=\"center\" bgcolor=\"#68B90F\">\n"
    "              {{ .Alerts | len }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} "
        "for {{ range .GroupLabels.SortedPairs }}\n"
    "                {{ .Name }}={{ .Value }}\n"
    "              {{ end }}\n"
    "            </td>\n"
    "            {{ end }}\n"
    "          </tr>\n"
    "          <tr style=\"" STYLE "\">\n"
    "            <td class=\"content-wrap\" style=\"" STYLE
        " vertical-align: top; padding: 30px;\" valign=\"top\">\n"
    "              <table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"" STYLE
        "\">\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <a href=\"{{ template \"__alertmanagerURL\" . }}\" "
        "class=\"btn-primary\" style=\"" STYLE
        " text-decoration: none; color: #FFF; background-color: #348eda; border: solid "
        "#348eda; border-width: 10px 20px; line-height: 2em; font-weight: bold; "
        "text-align: center; cursor: pointer; display: inline-block; border-radius: 5px; "
        "text-transform: capitalize;\">View in Alertmanager</a>\n"
    "                  </td>\n"
    "                </tr>\n"
    "                {{ if gt (len .Alerts.Firing) 0 }}\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <strong style=\"" STYLE
        "\">[{{ .Alerts.Firing | len }}] Firing</strong>\n"
    "                  </td>\n"
    "                </tr>\n"
    "                {{ end }}\n"
    "                {{ range .Alerts.Firing }}\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <strong style=\"" STYLE "\">Labels</strong><br style=\"" STYLE "\">\n"
    "                    {{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value " "}}<br style=\""
        STYLE "\">{{ end }}\n"
    "                    {{ if gt (len .Annotations) 0 }}<strong style=\"" STYLE
        "\">Annotations</strong><br style=\"" STYLE "\">{{ end }}\n"
    "                    {{ range .Annotations.SortedPairs }}{{ .Name }} = {{ .Value "
        "}}<br style=\"" STYLE "\">{{ end }}\n"
    "                    <a href=\"{{ .GeneratorURL }}\" style=\"" STYLE
        " color: #348eda; text-decoration: underline;\">Source</a><br style=\"" STYLE "\">\n"
    "                  </td>\n"
    "                </tr>\n"
    "                {{ end }}\n"
    "\n"
    "                {{ if gt (len .Alerts.Resolved) 0 }}\n"
    "                  {{ if gt (len .Alerts.Firing) 0 }}\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <br style=\"" STYLE "\">\n"
    "                    <hr style=\"" STYLE "\">\n"
    "                    <br style=\"" STYLE "\">\n"
    "                  </td>\n"
    "                </tr>\n"
    "                  {{ end }}\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <strong style=\"" STYLE
        "\">[{{ .Alerts.Resolved | len }}] Resolved</strong>\n"
    "                  </td>\n"
    "                </tr>\n"
    "                {{ end }}\n"
    "                {{ range .Alerts.Resolved }}\n"
    "                <tr style=\"" STYLE "\">\n"
    "                  <td class=\"content-block\" style=\"" STYLE
        " vertical-align: top; padding: 0 0 20px;\" valign=\"top\">\n"
    "                    <strong style=\"" STYLE "\">Labels</strong><br style=\"" STYLE "\">\n"
    "                    {{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value " "}}<br style=\""
        STYLE "\">{{ end }}\n"
    "                    {{ if gt (len .Annotations) 0 }}<strong style=\"" STYLE
        "\">Annotations</strong><br style=\"" STYLE "\">{{ end }}\n"
    "                    {{ range .Annotations.SortedPairs }}{{ .Name }} = {{ .Value "
        "}}<br style=\"" STYLE "\">{{ end }}\n"
    "                    <a href=\"{{ .GeneratorURL }}\" style=\"" STYLE
        " color: #348eda; text-decoration: underline;\">Source</a><br style=\"" STYLE "\">\n"
    "                  </td>\n"
    "                </tr>\n"
    "                {{ end }}\n"
    "              </table>\n"
    "            </td>\n"
    "          </tr>\n"
    "        </table>\n"
    "\n"
    "        <div class=\"footer\" style=\"" STYLE
        " width: 100%; clear: both; color: #999; padding: 20px;\">\n"
    "          <table width=\"100%\" style=\"" STYLE "\">\n"
    "            <tr style=\"" STYLE "\">\n"
    "              <td class=\"aligncenter content-block\" style=\"margin: 0; " FONT
        " vertical-align: top; padding: 0 0 20px; text-align: center; color: #999; "
        "font-size: 12px;\" valign=\"top\" align=\"center\"><a href=\"{{ .ExternalURL }}\" "
        "style=\"margin: 0; " FONT
        " text-decoration: underline; color: #999; font-size: 12px;\">Sent by "
        "Alertmanager</a></td>\n"
    "            </tr>\n"
    "          </table>\n"
    "        </div></div>\n"
    "    </td>\n"
    "    <td style=\"" STYLE " vertical-align: top;\" valign=\"top\"></td>\n"
    "  </tr>\n"
    "</table>\n"
    "\n"
    "</body>\n"
    "</html>\n"
    "\n"
    "{{ end }}";

struct template_set *default_templates_new(void)
{
    struct template_set *set = template_set_new(TEMPLATE_ALERTMANAGER);
    struct err err = { 0 };
    bool ok = template_set_parse(set, STR_EMPTY, str_of(texts, sizeof texts - 1), &err) &&
              template_set_parse(set, STR_EMPTY, str_of(email_html, sizeof email_html - 1), &err);
    ASSERT(ok);
    return set;
}

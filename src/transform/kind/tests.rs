//! Which clients are what: agents as they are really sent, of both kinds and of neither.

use super::*;

const HEALTH_CHECKS: [&str; 29] = [
    "kube-probe/1.31",
    "ELB-HealthChecker/2.0",
    "GoogleHC/1.0",
    "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)",
    "Consul Health Check",
    "Envoy/HC",
    "Amazon-Route53-Health-Check-Service (ref 68b1b1f5; report http://amzn.to/1vsZADi)",
    "Mozilla/5.0 (compatible; Cloudflare-Healthchecks/1.0; +https://www.cloudflare.com/; healthcheck-id: 4a)",
    "Varnish/fastly (healthcheck)",
    "Azure Traffic Manager Endpoint Monitor",
    "Load Balancer Agent",
    "Edge Health Probe",
    "AlwaysOn",
    "HealthCheck/1.0",
    "ReadyForRequest/1.0 (HealthCheck)",
    "RailwayHealthCheck/1.0",
    "DigitalOcean Uptime Probe 0.22.0 (https://digitalocean.com)",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "StatusCake_Uptime_Checker/1.0",
    "Better Uptime Bot Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)",
    "Site24x7",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/91.0.4472.77 Safari/537.36 \
     DatadogSynthetics",
    "Checkly/1.0 (https://www.checklyhq.com)",
    "updown.io daemon 2.11",
    "NodePing",
    "check_http/v2.2.1 (nagios-plugins 2.2.1)",
    "Blackbox Exporter/0.25.0",
    "Uptime-Kuma/1.23.16",
];

const ROBOTS: [&str; 26] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) \
     Chrome/116.0.1938.76 Safari/537.36",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitterbot/1.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; CloudFlare-AlwaysOnline/1.0; +https://www.cloudflare.com/always-online) AppleWebKit/534.34",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.6099.28 Safari/537.36",
    "Scrapy/2.11.2 (+https://scrapy.org)",
    "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
    "Mozilla/5.0 zgrab/0.x",
    "Feedbin feed-id:1 - 12 subscribers",
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)",
    "FeedBurner/1.0 (http://www.FeedBurner.com)",
    "PocketCasts/1.0 (Pocket Casts Feed Parser; +http://pocketcasts.com/)",
    "Overcast/1.0 Podcast Sync (123 subscribers; feed-id=456789; +http://overcast.fm/)",
    "http.rb/5.1.1 (Mastodon/4.2.1; +https://mastodon.social/)",
    "YuuperBOT",
];

const NEITHER: [&str; 35] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 \
     Edg/131.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 \
     Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 \
     Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_NOTE_S) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.58 Mobile",
    "Mozilla/5.0 (Linux; Android 8.1.0; CUBOT X18 Plus Build/O11019) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0",
    "Mozilla/5.0 (Linux; U; Android 7.1.2; AFTMM Build/NS6264) AppleWebKit/537.36 (KHTML, like Gecko) Silk/80.5.3",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 \
     [FBAN/FBIOS;FBAV/450.0.0.38;FBDV/iPhone14,5]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21A329 \
     Instagram 300.0.0.1",
    "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0 \
     Mobile Safari/537.36 [Pinterest/Android]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/290.0.1 Mobile",
    "Mozilla/5.0 (Linux; Android 12) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile DuckDuckGo/5 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) coc_coc_browser/120.0 Chrome/114.0 Safari/537.36",
    "AppleCoreMedia/1.0.0.22B91 (iPhone; U; CPU OS 18_1 like Mac OS X; en_us)",
    "Podcasts/1650.1 CFNetwork/1568.200.51 Darwin/24.1.0",
    "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
    "Pocket Casts/7.75 (Android)",
    "Spotify/8.9.86 iOS/18.1 (iPhone14,5)",
    "AntennaPod/3.4.0",
    "Castro 2024.9/1450 Like iTunes",
    "gPodder/3.11.4 (+http://gpodder.org/) Linux",
    "iTunes/12.13 (Windows; Microsoft Windows 10 x64) AppleWebKit/7613.2007",
    "VLC/3.0.20 LibVLC/3.0.20",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "-",
    "",
];

fn check(agents: &[&str], expected: Option<Kind>) {
    let mut kinds = Kinds::new(&[Kind::HealthCheck, Kind::Robot]);
    for _ in 0..2 {
        for agent in agents {
            let path = Some(b"/feed".as_slice());
            assert_eq!(kinds.kind_of(Some(agent.as_bytes()), path), expected, "{agent}");
            assert_eq!(
                kinds.kind_of(Some(agent.to_ascii_uppercase().as_bytes()), None).is_some(),
                expected.is_some() && *agent != "AlwaysOn"
            );
        }
    }
}

#[test]
fn agents_are_what_they_say() {
    check(&HEALTH_CHECKS, Some(Kind::HealthCheck));
    check(&ROBOTS, Some(Kind::Robot));
    check(&NEITHER, None);
}

#[test]
fn health_checks_have_their_paths() {
    let mut kinds = Kinds::new(&[Kind::HealthCheck]);
    let checks = [
        "/health",
        "/healthz/",
        "/up",
        "/-/ready",
        "/actuator/health",
        "/actuator/health/db",
        "/nginx-health",
    ];
    for path in checks {
        assert_eq!(
            kinds.kind_of(Some(b"curl/8.5.0"), Some(path.as_bytes())),
            Some(Kind::HealthCheck),
            "{path}"
        );
    }
    let others = [
        "",
        "/",
        "//",
        "/health//",
        "/healthy-food",
        "/HEALTH",
        "/u",
        "/up/x",
        "/live",
        "/shop/health",
        "/actuator/healthy",
    ];
    for path in others {
        assert_eq!(kinds.kind_of(Some(b"curl/8.5.0"), Some(path.as_bytes())), None, "{path}");
    }
    assert_eq!(kinds.kind_of(None, None), None);
}

#[test]
fn only_what_is_asked_for_is_told() {
    let (health, robot, path) =
        (Some(HEALTH_CHECKS[17].as_bytes()), Some(ROBOTS[0].as_bytes()), Some(b"/health".as_slice()));
    let cases = [
        (vec![], [None, None, None]),
        (vec![Kind::Robot], [None, Some(Kind::Robot), Some(Kind::Robot)]),
        (vec![Kind::HealthCheck], [Some(Kind::HealthCheck), None, Some(Kind::HealthCheck)]),
        (
            vec![Kind::Robot, Kind::HealthCheck],
            [Some(Kind::HealthCheck), Some(Kind::Robot), Some(Kind::HealthCheck)],
        ),
    ];
    for (asked, expected) in cases {
        let mut kinds = Kinds::new(&asked);
        let told =
            [(health, None), (robot, None), (robot, path)].map(|(agent, path)| kinds.kind_of(agent, path));
        assert_eq!(told, expected, "{asked:?}");
    }
    assert_eq!([Kind::HealthCheck, Kind::Robot].map(Kind::name), ["health-check", "robot"]);
}

#[test]
fn agents_that_share_a_place_are_told_apart() {
    let mut kinds = Kinds::new(&[Kind::Robot]);
    for _ in 0..2 {
        for number in 0..4 * REMEMBERED {
            let agent = format!("{}/{number}", if number % 3 == 0 { "Some bot; v" } else { "Firefox" });
            let kind = kinds.kind_of(Some(agent.as_bytes()), None);
            assert_eq!(kind.is_some(), number % 3 == 0, "{agent}");
        }
    }
}

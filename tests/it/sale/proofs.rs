//! Admission tokens that are bound to a key: worth nothing to whoever has the token alone.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use super::shop::{Shop, heard};
use crate::{
    harness::{PASSWORD, until},
    served::{Answer, SignedIn},
};

/// What a client keeps for itself.
enum SessionKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl SessionKey {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        Self::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref()).expect("a key"))
    }

    fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::from_seed_unchecked(&rand::random::<[u8; 32]>()).expect("a key"))
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"crv": "P-256", "kty": "EC", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Self::EdDsa(pair) => json!({"crv": "Ed25519", "kty": "OKP", "x": text(pair.public_key().as_ref())}),
        }
    }

    /// The members stand in order.
    fn thumbprint(&self) -> String {
        hash(&self.jwk().to_string())
    }

    fn sign(&self, message: &str) -> String {
        let signature = match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        URL_SAFE_NO_PAD.encode(signature)
    }

    /// As a browser exports its key.
    fn proof_with(&self, claims: &Value) -> String {
        let mut jwk = self.jwk();
        jwk["ext"] = json!(true);
        jwk["key_ops"] = json!(["verify"]);
        let header = json!({"typ": "dpop+jwt", "alg": self.alg(), "jwk": jwk});
        self.token(&header, claims)
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.sign(&signed);
        signed + "." + &signature
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

struct Scene {
    shop: Shop,
    event: String,
    fan: SignedIn,
}

impl Scene {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let mut concert = Shop::concert();
        concert["limits"] = json!({"per_fan": 20});
        let event = shop.draft(concert).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        let fan = shop.fan("ann").await;
        Self { shop, event, fan }
    }

    fn url(&self) -> String {
        format!("{}/api/v1/events/{}/holds", self.shop.served.public, self.event)
    }

    fn claims(&self, admission: &str) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let jti = format!("{:032x}", rand::random::<u128>());
        json!({"htm": "POST", "htu": self.url(), "iat": now, "jti": jti, "ath": hash(admission)})
    }

    async fn hold(&self, admission: &str, proofs: &[&str]) -> Answer {
        let request = self.shop.served.client.post(self.url()).bearer_auth(&self.fan.access);
        let mut request = request.header("idempotency-key", self.shop.key()).header("onsale-admission", admission);
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
        Answer::of(request.json(&body).send().await.expect("an answer")).await
    }

    /// The state, asked with a key named.
    async fn state(&self, token: &str, key: Option<&str>) -> Answer {
        let url = format!("{}/api/v1/events/{}/queue", self.shop.served.public, self.event);
        let mut request = self.shop.served.client.request(Method::GET, url).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("onsale-session-key", key);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    async fn bound(&self, key: &SessionKey) -> String {
        let state = self.state(&self.fan.access, Some(&key.thumbprint())).await.expect(StatusCode::OK);
        state["acceptedTokenId"].as_str().expect("a token").to_owned()
    }
}

fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_33_a_stolen_admission_token_is_worth_nothing_without_its_key() {
    let scene = Scene::open().await;
    let unbound = scene.shop.admitted(&scene.event, &scene.fan).await;
    scene.hold(&unbound, &[]).await.expect(StatusCode::CREATED);
    for key in [SessionKey::es256(), SessionKey::ed_dsa()] {
        let token = scene.bound(&key).await;
        assert_eq!(claims_of(&token)["cnf"], json!({"jkt": key.thumbprint()}));
        let stolen = scene.hold(&token, &[]).await;
        assert_eq!(stolen.problem(), (401, "proof_needed".into()));
        assert_eq!(stolen.header("www-authenticate"), r#"DPoP algs="ES256 EdDSA""#);

        let proof = key.proof_with(&scene.claims(&token));
        scene.hold(&token, &[&proof]).await.expect(StatusCode::CREATED);
        let repeated = scene.hold(&token, &[&proof]).await;
        assert_eq!(repeated.problem(), (401, "invalid_proof".into()));

        // A thief has keys too.
        let thief = SessionKey::es256();
        let claims = scene.claims(&token);
        let mut private = key.jwk();
        private["d"] = json!(hash("private"));
        let header = |typ, jwk| json!({"typ": typ, "alg": key.alg(), "jwk": jwk});
        let with = |field: &str, value: Value| {
            let mut claims = scene.claims(&token);
            claims[field] = value;
            key.proof_with(&claims)
        };
        let mut without_jti = scene.claims(&token);
        without_jti.as_object_mut().expect("claims").remove("jti");
        let now = jiff::Timestamp::now().as_second();
        let good = key.proof_with(&claims);
        let wrong = [
            ("of another key", thief.proof_with(&claims)),
            ("signed by another", thief.token(&header("dpop+jwt", key.jwk()), &claims)),
            ("of another kind", key.token(&header("JWT", key.jwk()), &claims)),
            ("with a private key", key.token(&header("dpop+jwt", private), &claims)),
            ("with none", key.token(&json!({"typ": "dpop+jwt", "alg": key.alg()}), &claims)),
            ("unsigned", key.token(&json!({"typ": "dpop+jwt", "alg": "none", "jwk": key.jwk()}), &claims)),
            ("for another token", with("ath", json!(hash(&unbound)))),
            ("for another method", with("htm", json!("GET"))),
            ("for another address", with("htu", json!(scene.url().replace("/holds", "/queue")))),
            ("for another host", with("htu", json!(scene.url().replace("127.0.0.1", "tickets.example")))),
            ("too old", with("iat", json!(now - 70))),
            ("from the future", with("iat", json!(now + 60))),
            ("with no name", with("jti", json!(""))),
            ("without one", key.proof_with(&without_jti)),
            ("cut short", good[..good.len() - 4].to_owned()),
            ("no token", "proof".to_owned()),
        ];
        for (why, proof) in &wrong {
            let refused = scene.hold(&token, &[proof]).await;
            assert_eq!(refused.problem(), (401, "invalid_proof".into()), "{why}");
        }
        let two = scene.hold(&token, &[&good, &good]).await;
        assert_eq!(two.problem(), (401, "invalid_proof".into()));
        scene.hold(&token, &[&good]).await.expect(StatusCode::CREATED);
    }
    for wrong in ["", "short", &format!("{}=", hash("x"))] {
        let refused = scene.state(&scene.fan.access, Some(wrong)).await;
        assert_eq!(refused.problem(), (400, "invalid_session_key".into()), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_33_who_signs_in_with_a_key_gets_no_admission_token_without_it() {
    let scene = Scene::open().await;
    scene.shop.admitted(&scene.event, &scene.fan).await;
    let (key, other) = (SessionKey::es256(), SessionKey::es256());
    let login = format!("{}/api/v1/auth/login", scene.shop.served.public);
    let request = scene.shop.served.client.post(login).header("onsale-session-key", key.thumbprint());
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    let answer = Answer::of(request.json(&body).send().await.expect("an answer")).await.expect(StatusCode::OK);
    let access = answer["access_token"].as_str().expect("a token");
    let expected = json!({"jkt": key.thumbprint()});
    assert_eq!(claims_of(access)["cnf"], expected);
    for named in [None, Some(other.thumbprint())] {
        let state = scene.state(access, named.as_deref()).await.expect(StatusCode::OK);
        let token = state["acceptedTokenId"].as_str().expect("a token");
        assert_eq!(claims_of(token)["cnf"], expected, "a stolen access token gives none that is bound to less");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_33_a_page_names_its_key_when_it_asks_for_the_socket_s_ticket() {
    let scene = Scene::open().await;
    let (served, key) = (&scene.shop.served, SessionKey::es256());
    let url = format!("{}/api/v1/auth/socket-ticket", served.public);
    let request = served.client.post(url).bearer_auth(&scene.fan.access).header("origin", &served.public);
    let ticket = request.header("onsale-session-key", key.thumbprint()).send().await.expect("an answer");
    let ticket = Answer::of(ticket).await.expect(StatusCode::OK);
    let mut request = scene.shop.socket_url(&scene.event).into_client_request().expect("a URL");
    let protocols = format!("onsale.v1, ticket.{}", ticket["ticket"].as_str().expect("a ticket"));
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::try_from(protocols).expect("a header"));
    headers.insert("origin", HeaderValue::try_from(&served.public).expect("a header"));
    let mut socket = connect_async(request).await.expect("a socket").0;
    let mut token = String::new();
    until("admitted", async || {
        token = heard(&mut socket).await["acceptedTokenId"].as_str().unwrap_or_default().to_owned();
        !token.is_empty()
    })
    .await;
    assert_eq!(claims_of(&token)["cnf"], json!({"jkt": key.thumbprint()}));
    assert_eq!(scene.hold(&token, &[]).await.problem(), (401, "proof_needed".into()));
    scene.hold(&token, &[&key.proof_with(&scene.claims(&token))]).await.expect(StatusCode::CREATED);
}

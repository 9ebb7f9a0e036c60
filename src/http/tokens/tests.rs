//! Forged, foreign and worn-out tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::rings::purpose;
use super::*;
use crate::{
    domain::{id::EventId, keys::Schedule, queue::Place, time::Millis},
    stores::{
        keys::{KeyStore, embedded::EmbeddedKeys},
        secret::RootSecret,
    },
};

const SECRET: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";
const FAN: FanId = FanId::from_u128(7);

fn secret() -> RootSecret {
    RootSecret::parse(SECRET).expect("good")
}

const LIVES: Lives = Lives { access_s: 900 };

fn tokens() -> Tokens {
    of(SECRET, Schedule::first())
}

fn of(secret: &str, schedule: Schedule) -> Tokens {
    Tokens::new(KeyRing::fixed(RootSecret::parse(secret).expect("good"), schedule), "onsale", LIVES)
}

fn about(kind: Kind) -> Value {
    let event = EventId::from_u128(9);
    match kind {
        Kind::Access => json!({"sv": 1, "roles": ["fan"]}),
        Kind::Socket => json!({"org": null, "end": 0, "sv": 1}),
        Kind::Admission | Kind::QueueTicket => json!({"evt": event, "plc": Place::new(1, 2)}),
        Kind::Resume => json!({"evt": event, "org": null, "end": 0, "sv": 1}),
        Kind::Device => json!({}),
        Kind::Challenge => json!({"evt": event, "bits": 8}),
    }
}

fn verify(tokens: &Tokens, kind: Kind, token: &str) -> Result<(), Refused> {
    match kind {
        Kind::Access => tokens.verify_known::<Access>(kind, token).map(drop),
        Kind::Admission => tokens.verify_known::<AdmissionClaim>(kind, token).map(drop),
        Kind::Socket => tokens.verify_known::<SocketClaim>(kind, token).map(drop),
        Kind::QueueTicket => tokens.verify_known::<QueueTicketClaim>(kind, token).map(drop),
        Kind::Resume => tokens.verify_known::<ResumeClaim>(kind, token).map(drop),
        Kind::Device => tokens.verify_known::<DeviceClaim>(kind, token).map(drop),
        Kind::Challenge => tokens.verify_known::<ChallengeClaim>(kind, token).map(drop),
    }
}

fn claims(kind: Kind) -> Value {
    let now = unix_now();
    let mut claims = json!({
        "iss": "onsale", "aud": kind.audience(), "sub": FAN, "jti": "j", "iat": now, "nbf": now, "exp": now + 60,
    });
    let more = about(kind);
    let more = more.as_object().expect("object").clone();
    claims.as_object_mut().expect("object").extend(more);
    claims
}

/// Any header and claims, signed with our own key: what a thief of nothing but the format cannot make.
fn signed(kind: Kind, header: &Value, payload: &str) -> String {
    let keys = secret().keys_of(&purpose(kind), Generation::FIRST);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &keys[0][..]);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Our own header, byte for byte, before other claims.
fn with_claims(kind: Kind, payload: &str) -> String {
    let good = tokens().sign(kind, FAN, 60, about(kind));
    let header = good.split('.').next().expect("header");
    let keys = secret().keys_of(&purpose(kind), Generation::FIRST);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &keys[0][..]);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
}

fn kid(kind: Kind) -> String {
    tokens().rings().of_kind(kind).keys[0].header.kid.clone().expect("a key id")
}

#[test]
fn s_01_each_kind_is_taken_for_itself_only() {
    let tokens = tokens();
    for made in Kind::ALL {
        let token = tokens.sign(made, FAN, 60, about(made));
        for taken in Kind::ALL {
            let expected = if made == taken { Ok(()) } else { Err(Refused::Invalid) };
            assert_eq!(verify(&tokens, taken, &token), expected, "{made:?} as {taken:?}");
        }
    }
}

#[test]
fn s_01_no_two_kinds_share_key_type_or_audience() {
    for (at, one) in Kind::ALL.into_iter().enumerate() {
        for other in Kind::ALL.into_iter().skip(at + 1) {
            assert_ne!(kid(one), kid(other));
            assert_ne!(one.typ(), other.typ());
            assert_ne!(one.audience(), other.audience());
        }
    }
}

#[test]
fn s_02_a_header_of_somebody_elses_making_is_refused_whatever_signed_it() {
    let kind = Kind::Access;
    let payload = claims(kind).to_string();
    let kid = kid(kind);
    let headers = [
        json!({"typ": "at+jwt", "alg": "none"}),
        json!({"typ": "at+jwt", "alg": "none", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "HS512", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "RS256", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "hs256", "kid": kid}),
        json!({"typ": "JWT", "alg": "HS256", "kid": kid}),
        json!({"alg": "HS256", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "HS256"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": ""}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "../../etc/passwd"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "x' OR '1'='1"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "/dev/null"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "jku": "https://evil.example/keys"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "x5u": "https://evil.example/cert"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "crit": ["exp"]}),
    ];
    for header in headers {
        let token = signed(kind, &header, &payload);
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{header}");
        let unsigned = format!("{}.", token.rsplit_once('.').expect("three parts").0);
        assert_eq!(verify(&tokens(), kind, &unsigned), Err(Refused::Invalid), "{header} unsigned");
    }
}

#[test]
fn s_02_a_signature_by_another_key_is_refused() {
    let kind = Kind::Access;
    let header = Header { typ: Some(kind.typ().into()), kid: Some(kid(kind)), ..Header::new(Algorithm::HS256) };
    let public_key = crate::stores::secret::TicketKey::of(&secret(), Generation::FIRST)[0].public();
    for key in [&b""[..], b"secret", &public_key, kid(kind).as_bytes()] {
        let token = jsonwebtoken::encode(&header, &claims(kind), &EncodingKey::from_secret(key)).expect("encodes");
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid));
    }
    let good = tokens().sign(kind, FAN, 60, about(kind));
    let (message, _) = good.rsplit_once('.').expect("three parts");
    for token in [format!("{message}."), format!("{message}.AAAA"), message.to_owned(), format!("{good}.x")] {
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{token}");
    }
    let other = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let other = of(other, Schedule::first());
    assert_eq!(verify(&other, kind, &good), Err(Refused::Invalid));
}

#[test]
fn s_02_rubbish_and_oversized_tokens_are_refused_unread() {
    let huge = "a".repeat(100 * 1024);
    let good = tokens().sign(Kind::Access, FAN, 60, about(Kind::Access));
    let padded = format!("{good}{huge}");
    for token in ["", ".", "..", "a.b.c", "\u{0}", &huge, &padded] {
        assert_eq!(verify(&tokens(), Kind::Access, token), Err(Refused::Invalid));
    }
}

#[test]
fn s_02_a_claim_given_twice_is_refused() {
    let kind = Kind::Access;
    let good = claims(kind).to_string();
    assert_eq!(verify(&tokens(), kind, &with_claims(kind, &good)), Ok(()));
    for again in ["\"sub\":\"00000000000000000000000000000008\"", "\"exp\":99999999999", "\"aud\":\"x\"", "\"sv\":2"] {
        let payload = format!("{{{again},{}", good.trim_start_matches('{'));
        assert_eq!(verify(&tokens(), kind, &with_claims(kind, &payload)), Err(Refused::Invalid), "{again}");
    }
}

#[test]
fn s_03_every_claim_is_required_and_must_be_ours() {
    for kind in Kind::ALL {
        for claim in ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"] {
            let mut without = claims(kind);
            without.as_object_mut().expect("object").remove(claim);
            let token = with_claims(kind, &without.to_string());
            assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{kind:?} without {claim}");
        }
        let wrong = [
            ("iss", json!("other")),
            ("iss", json!(null)),
            ("aud", json!("onsale:other")),
            ("aud", json!([kind.audience(), "x"])),
            ("sub", json!("")),
            ("sub", json!("../7")),
            ("jti", json!("")),
            ("exp", json!("never")),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
        ];
        for (claim, value) in wrong {
            let mut claims = claims(kind);
            claims[claim] = value.clone();
            let token = with_claims(kind, &claims.to_string());
            assert!(verify(&tokens(), kind, &token).is_err(), "{kind:?} {claim} = {value}");
        }
    }
}

#[test]
fn s_03_an_admission_ends_to_the_second_and_others_within_five() {
    let tokens = tokens();
    for kind in Kind::ALL {
        let leeway = if kind == Kind::Admission { 0 } else { LEEWAY_S };
        let ended = |ago: u64| {
            let now = unix_now();
            let token = tokens.sign_until(kind, FAN, now - 100, now - ago, about(kind));
            verify(&tokens, kind, &token)
        };
        assert_eq!(ended(leeway), Err(Refused::Expired), "{kind:?}");
        assert_eq!(ended(90), Err(Refused::Expired), "{kind:?}");
        if leeway > 2 {
            assert_eq!(ended(leeway - 2), Ok(()), "{kind:?}");
        }
        let not_yet = |ahead: u64| {
            let now = unix_now();
            let token = tokens.sign_until(kind, FAN, now + ahead, now + ahead + 60, about(kind));
            verify(&tokens, kind, &token)
        };
        assert_eq!(not_yet(leeway + 2), Err(Refused::Invalid), "{kind:?} of the future");
    }
}

#[test]
fn s_03_a_replaced_secret_still_takes_what_the_old_one_signed() {
    let old = tokens();
    let fresh = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let replaced = of(&format!("{fresh}\n{SECRET}"), Schedule::first());
    let after = of(fresh, Schedule::first());
    let retired = of(&format!("{fresh}\nretired {SECRET}"), Schedule::first());
    let token = old.sign(Kind::Access, FAN, 60, about(Kind::Access));
    assert_eq!(verify(&replaced, Kind::Access, &token), Ok(()));
    assert_eq!(verify(&after, Kind::Access, &token), Err(Refused::Invalid));
    assert_eq!(verify(&retired, Kind::Access, &token), Err(Refused::Invalid));
    let token = replaced.sign(Kind::Access, FAN, 60, about(Kind::Access));
    assert_eq!(verify(&after, Kind::Access, &token), Ok(()));
    assert_eq!(verify(&old, Kind::Access, &token), Err(Refused::Invalid));
}

/// Whose second generation is listed, and signs since so many milliseconds.
fn rotated(since: Millis) -> Schedule {
    let signs = crate::http::now() - since;
    Schedule::first().rotated(Generation(2), signs - Millis(1), Millis(1), LIVES.longest()).expect("rotated")
}

#[test]
fn s_03_a_rotation_begins_with_believing_and_ends_when_nothing_old_can_be_good() {
    let minute = Millis::minutes(1);
    let waiting = Schedule::first();
    let waiting = waiting.rotated(Generation(2), crate::http::now(), minute, LIVES.longest()).expect("rotated");
    let (before, during, after) = (tokens(), of(SECRET, waiting), of(SECRET, rotated(minute)));
    let nodes = [&before, &during, &after];
    for kind in Kind::ALL {
        let signed = nodes.map(|node| node.sign(kind, FAN, 60, about(kind)));
        for token in &signed[..2] {
            assert!(nodes.iter().all(|node| verify(node, kind, token) == Ok(())), "{kind:?} by the old generation");
        }
        assert_eq!(verify(&during, kind, &signed[2]), Ok(()), "{kind:?}: believed before it signs");
        assert_eq!(verify(&after, kind, &signed[2]), Ok(()));
        // Known by its signature, and to be looked for.
        assert_eq!(verify(&before, kind, &signed[2]), Err(Refused::Unknown(Generation(2))));
    }
    // Each kind for as long as it lives, and what its clocks may differ by.
    for kind in Kind::ALL {
        let token = before.sign(kind, FAN, 1_000_000, about(kind));
        let life = LIVES.of(kind);
        let second = Millis::seconds(1);
        let still = of(SECRET, rotated(Millis((life.0 + minute.0) - second.0 * 30)));
        assert_eq!(verify(&still, kind, &token), Ok(()), "{kind:?}");
        let over = of(SECRET, rotated(Millis(life.0 + minute.0 + second.0)));
        assert_eq!(verify(&over, kind, &token), Err(Refused::Expired), "{kind:?}");
    }
}

#[test]
fn s_03_only_our_own_signature_makes_a_node_look_for_a_generation() {
    let kind = Kind::Access;
    let next = of(SECRET, rotated(Millis::seconds(1)));
    let good = next.sign(kind, FAN, 60, about(kind));
    assert_eq!(verify(&tokens(), kind, &good), Err(Refused::Unknown(Generation(2))));
    let (message, _) = good.rsplit_once('.').expect("three parts");
    let payload = claims(kind).to_string();
    let own = kid(kind);
    let named = |kid: &str| signed(kind, &json!({"typ": "at+jwt", "alg": "HS256", "kid": kid}), &payload);
    let fingerprint = own.split_once('.').expect("two parts").1;
    for forged in [
        format!("{message}.AAAA"),
        format!("{message}."),
        // By the key of the generation that is known.
        named(&format!("2.{fingerprint}")),
        named("2."),
        named("2"),
        named("4294967295.x"),
        named("-1.x"),
        named("0.x"),
    ] {
        assert_eq!(verify(&tokens(), kind, &forged), Err(Refused::Invalid), "{forged}");
    }
    let expired = next.sign_until(kind, FAN, unix_now() - 100, unix_now() - 50, about(kind));
    assert_eq!(verify(&tokens(), kind, &expired), Err(Refused::Expired), "nobody need look");
}

#[tokio::test]
async fn s_03_what_another_node_has_just_made_is_looked_for_and_what_nobody_made_is_not_found() {
    let folder = tempfile::tempdir().expect("folder");
    let store: Arc<dyn KeyStore> =
        Arc::new(EmbeddedKeys::open(&folder.path().join("keys.json"), "n1").expect("opened"));
    // It does not look by itself.
    let never = std::time::Duration::from_secs(100_000);
    let open = async || KeyRing::open_with(secret(), Arc::clone(&store), never).await.expect("opened");
    let (maker, lagging, other) = (open().await, open().await, open().await);
    let generation = maker.rotate(Millis(0), LIVES.longest()).await.expect("rotated");
    let made = Tokens::new(maker, "onsale", LIVES);
    let signs = async {
        while made.0.keys.in_force().signs != generation {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), signs).await.expect("it signs after its overlap");
    let token = made.sign(Kind::Access, FAN, 60, about(Kind::Access));
    let lagging = Tokens::new(lagging, "onsale", LIVES);
    assert_eq!(verify(&lagging, Kind::Access, &token), Err(Refused::Unknown(generation)));
    lagging.verify_access(&token).await.expect("looked for");
    assert_eq!(verify(&lagging, Kind::Access, &token), Ok(()), "and known from then on");

    // Ours, of a generation that was never listed: as a node would sign that had gone wrong.
    let nowhere = Schedule::first().rotated(Generation(900), EventTime(1), Millis(1), LIVES.longest());
    let strange = of(SECRET, nowhere.expect("rotated")).sign(Kind::Access, FAN, 60, about(Kind::Access));
    let other = Tokens::new(other, "onsale", LIVES);
    let refused = other.verify_access(&strange).await.expect_err("not listed");
    assert_eq!(refused, Refused::Unknown(Generation(900)));
    assert_eq!(other.verify_access(&strange).await, Err(Refused::Unsure), "not asked again so soon");
}

#[tokio::test]
async fn s_03_a_token_that_was_found_good_is_remembered_and_ends_all_the_same() {
    let tokens = tokens();
    let claim = AdmissionClaim::of(EventId::from_u128(7), Place(5));
    let now = unix_now();
    let token = tokens.sign_until(Kind::Admission, FAN, now, now + 6, claim);
    let first = tokens.verify_admission(&token).await.expect("good");
    let again = tokens.verify_admission(&token).await.expect("good");
    assert!(Arc::ptr_eq(&first, &again), "not checked anew");
    let (body, signature) = token.rsplit_once('.').expect("a token");
    let forged = format!("{body}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(tokens.verify_admission(&forged).await.map(drop), Err(Refused::Invalid), "known by all of its bytes");
    assert_eq!(tokens.verify_access(&token).await.map(drop), Err(Refused::Invalid), "and as its own kind only");
    while unix_now() < now + 6 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(tokens.verify_admission(&token).await.map(drop), Err(Refused::Expired));
}

"""Terms of texts in any script: neighbours are of one topic, whether or not spaces divide its words."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from ds2.base.errors import UserError
from ds2.method.embedding import tfidf_svd, unit_rows
from ds2.method.knn import knn_graph
from ds2.method.student.features import count_terms, surface_features
from ds2.method.terms import analyzer_for, has_unspaced, terms_of

TOPICS = {
    "chinese": (
        ["苹果", "香蕉", "西瓜", "葡萄", "橙子", "草莓", "桃子", "樱桃"],
        ["火车", "飞机", "汽车", "轮船", "地铁", "公交", "机场", "车站"],
        ["医生", "护士", "药物", "手术", "病房", "感冒", "诊断", "症状"],
        ["足球", "篮球", "网球", "游泳", "比赛", "教练", "运动", "冠军"],
    ),
    "japanese": (
        ["りんご", "バナナ", "ぶどう", "みかん", "いちご", "すいか", "さくらんぼ", "もも"],
        ["電車", "飛行機", "自動車", "地下鉄", "空港", "切符", "バス停", "新幹線"],
        ["医者", "看護師", "薬局", "手術", "病院", "風邪", "診断", "症状"],
        ["サッカー", "野球", "テニス", "水泳", "試合", "監督", "優勝", "選手"],
    ),
    "thai": (
        ["แอปเปิล", "กล้วย", "แตงโม", "องุ่น", "ส้ม", "มะม่วง", "สับปะรด", "ทุเรียน"],
        ["รถไฟ", "เครื่องบิน", "รถยนต์", "เรือ", "สนามบิน", "ตั๋ว", "สถานี", "รถเมล์"],
        ["หมอ", "พยาบาล", "ยา", "ผ่าตัด", "โรงพยาบาล", "ไข้หวัด", "อาการ", "คนไข้"],
        ["ฟุตบอล", "บาสเกตบอล", "เทนนิส", "ว่ายน้ำ", "แข่งขัน", "โค้ช", "นักกีฬา", "แชมป์"],
    ),
    "code": (
        ["SELECT", "FROM users", "WHERE", "JOIN", "GROUP BY", "ORDER", "INSERT", "table"],
        ["def f(x):", "return", "import numpy", "lambda", "self", "yield", "None", "dict"],
        ["#include", "int main", "printf", "malloc", "struct", "void", "sizeof", "char"],
        ["<div>", "class=", "href", "<span>", "style", "body", "html", "script"],
    ),
    "english": (
        ["apple", "banana", "melon", "grape", "orange", "strawberry", "peach", "cherry"],
        ["train", "plane", "car", "ship", "subway", "ticket", "airport", "station"],
        ["doctor", "nurse", "medicine", "surgery", "ward", "flu", "diagnosis", "symptom"],
        ["football", "tennis", "swimming", "match", "coach", "athlete", "champion", "league"],
    ),
}
FILLERS = {
    "chinese": "的是在和有了我他",
    "japanese": "のはがをにとでも",
    "thai": ("ที่", "และ", "ใน", "มี", "เป็น", "ของ"),
}


def pool(language: str, rows: int = 200) -> tuple[list[str], np.ndarray]:
    """Rows of four topics: six of a topic's words, divided by fillers, or by spaces where the script has
    them.
    """
    rng = random.Random(7)
    texts, topics = [], np.arange(rows) % 4
    for topic in topics:
        words = [rng.choice(TOPICS[language][topic]) for _ in range(6)]
        texts.append("".join(w + rng.choice(FILLERS.get(language, " ")) for w in words))
    return texts, topics


@pytest.mark.parametrize("language", TOPICS)
def test_neighbours_are_of_one_topic_in_every_script(language):
    texts, topics = pool(language)
    graph = knn_graph(unit_rows(tfidf_svd(texts)).vectors, 10)
    assert (topics[graph.neighbors] == topics[:, None]).mean() > 0.9  # by chance: .246
    assert count_terms(texts).sum(axis=1).min() >= 3


def test_runs_without_spaces_give_pairs_of_characters_and_words_stay_words():
    assert terms_of("Hello 世界你 world a") == ["hello", "world", "世界", "界你"]
    assert terms_of("猫") == ["猫"]
    assert terms_of("v2数据 x") == ["v2", "数据"]


@given(st.text(st.characters(max_codepoint=0x5FF)))
def test_other_scripts_have_scikit_learn_s_own_terms(text):
    assert not has_unspaced([text])
    assert analyzer_for([text]) == "word"
    assert terms_of(text) == CountVectorizer().build_analyzer()(text)


def test_a_character_of_a_script_without_spaces_counts_as_a_word():
    texts = ["苹果和香蕉", "ab cd"]
    words = np.expm1(surface_features(texts, count_terms(texts))[:, 1])
    np.testing.assert_allclose(words, [5, 2])


@pytest.mark.parametrize(
    ("texts", "cause"),
    [
        ([chr(0x1F600 + i % 60) for i in range(200)], "no text has a word of two letters"),
        ([f"word{i}" for i in range(200)], "in fewer than embedder.min_df=2 texts"),
    ],
)
def test_texts_without_a_vocabulary_are_told_why(texts, cause):
    with pytest.raises(UserError, match=cause):
        tfidf_svd(texts)


def test_equal_texts_have_one_vector_and_no_vocabulary_where_common_words_are_dropped():
    texts = ["the same words"] * 200
    vectors = tfidf_svd(texts)
    assert (vectors == vectors[0]).all()
    assert np.linalg.norm(vectors[0]) == pytest.approx(1)
    with pytest.raises(UserError, match="all 200 texts are equal"):
        tfidf_svd(texts, max_df=0.2)

"""The page in a browser: no errors, and mouse and keyboard work."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from gepc_geo.report import write_page

pytest.importorskip("selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

DESKTOP, PHONE = (1400, 900), (390, 844)


def size(browser: Any, width: int, height: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 800},
    )


def open_page(browser: Any, url: str, screen: tuple[int, int] = DESKTOP) -> None:
    """Opens a page and waits for its charts and the first clip."""
    size(browser, *screen)
    browser.get_log("browser")
    browser.get(url)
    WebDriverWait(browser, 20).until(
        lambda b: (
            b.find_elements(By.CSS_SELECTOR, "#timeline .main-svg")
            and b.find_elements(By.CSS_SELECTOR, "#histogram .main-svg")
        )
    )


def keep(browser: Any, folder: Path, name: str, screen: tuple[int, int]) -> None:
    """Takes screenshots of the screen and of the whole page at a width."""
    assert browser.save_screenshot(str(folder / f"{name}.png"))
    height = browser.execute_script("return document.documentElement.scrollHeight")
    size(browser, screen[0], min(height, 8000))
    time.sleep(0.5)
    assert browser.save_screenshot(str(folder / f"{name}_whole.png"))
    size(browser, *screen)
    for kind in ("", "_whole"):
        assert (folder / f"{name}{kind}.png").stat().st_size > 10_000


def drawn(browser: Any, selector: str = "#player") -> str:
    """Checksum of the pixels of a canvas."""
    picture = browser.execute_script(
        "return document.querySelector(arguments[0]).toDataURL()", selector
    )
    return hashlib.sha256(picture.encode()).hexdigest()


def moves(browser: Any, selector: str = "#player") -> bool:
    """Whether the pixels of a canvas change within a few seconds."""
    before = drawn(browser, selector)
    for _ in range(30):
        time.sleep(0.1)
        if drawn(browser, selector) != before:
            return True
    return False


def text(browser: Any, identity: str) -> str:
    return browser.find_element(By.ID, identity).text


@pytest.fixture(scope="module")
def url(content, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(content, path)
    return path.as_uri()


@pytest.mark.parametrize(("name", "screen"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_the_page_loads_without_errors_and_fits_the_screen(browser, url, shots, name, screen):
    open_page(browser, url, screen)
    assert browser.get_log("browser") == []
    # The malicious name is shown as text and has no effect.
    assert browser.execute_script("return window.harm === undefined")
    names = [e.text for e in browser.find_elements(By.CSS_SELECTOR, "#list .name")]
    assert any("<script>" in one for one in names) and len(names) == 9
    # Nothing overflows to the side.
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= screen[0]
    keep(browser, shots, f"report_{name}", screen)
    assert browser.get_log("browser") == []


def test_the_page_makes_no_network_request(browser, url):
    open_page(browser, url)
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map((one) => one.name)"
    )
    assert [one for one in asked if not one.startswith(("data:", "blob:"))] == []


def test_a_click_on_a_peak_of_the_line_plays_it(browser, url):
    open_page(browser, url)
    assert not moves(browser)
    points = browser.find_elements(By.CSS_SELECTOR, "#timeline .scatterlayer .points path")
    buttons = browser.find_elements(By.CSS_SELECTOR, "button.peak")
    assert len(points) == len(buttons) > 0
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", points[-1])
    ActionChains(browser).move_to_element(points[-1]).pause(0.3).click().perform()
    assert moves(browser)
    pressed = browser.find_elements(By.CSS_SELECTOR, "button.peak[aria-pressed=true]")
    assert pressed == [buttons[-1]] and text(browser, "play") == "Pause"
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_a_finger_on_a_peak_plays_it(browser, url):
    open_page(browser, url, PHONE)
    points = browser.find_elements(By.CSS_SELECTOR, "#timeline .scatterlayer .points path")
    buttons = browser.find_elements(By.CSS_SELECTOR, "button.peak")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", points[-1])
    browser.execute_script(
        "document.addEventListener('pointerdown', (event) => { window.by = event.pointerType; })"
    )
    assert text(browser, "play") == "Play"
    finger = ActionBuilder(browser, mouse=PointerInput("touch", "finger"))
    finger.pointer_action.move_to(points[-1]).pointer_down().pause(0.05).pointer_up()
    finger.perform()
    assert browser.execute_script("return window.by") == "touch"
    assert moves(browser) and text(browser, "play") == "Pause"
    pressed = browser.find_elements(By.CSS_SELECTOR, "button.peak[aria-pressed=true]")
    assert pressed == [buttons[-1]]
    assert browser.get_log("browser") == []


def test_a_peaks_button_plays_and_the_player_pauses(browser, url, content):
    open_page(browser, url)
    browser.find_elements(By.CSS_SELECTOR, "button.peak")[0].click()
    assert moves(browser)
    first = content["scenes"][content["clips"][0]["peaks"][0]]
    assert f"Person {first['people'][0]['id']} has the score of this frame" in text(
        browser, "caption"
    )
    # The normal movements have the same clock.
    assert len(browser.find_elements(By.CSS_SELECTOR, "#normal canvas")) == 3
    assert moves(browser, "#normal canvas")
    browser.find_element(By.ID, "play").click()
    assert not moves(browser) and text(browser, "play") == "Play"
    # The joints of another person are coloured.
    before = drawn(browser)
    browser.find_elements(By.CSS_SELECTOR, "#people button")[1].click()
    assert drawn(browser) != before
    assert f"Person {first['people'][1]['id']} is in the scene" in text(browser, "caption")


def test_gaps_and_people_who_were_not_judged_are_marked(browser, alone, tmp_path, shots):
    write_page(alone, tmp_path / "alone.html")
    open_page(browser, (tmp_path / "alone.html").as_uri())
    assert "were judged" in text(browser, "judged") and "too short" in text(browser, "judged-help")
    key = text(browser, "key")
    assert "somebody is there, not judged: too short" in key and "gap: nobody is there" in key
    assert "tracking fault" not in key and "threshold" in key
    # No line is drawn after frame 29; frames 36 to 39 have a band.
    drawn = browser.execute_script(
        "return document.getElementById('timeline').data.map((one) => [one.type, one.x, one.y])"
    )
    kind, x, y = drawn[2]
    assert kind is None and [at for at, value in zip(x, y, strict=True) if value is None] == [
        *range(30, len(x))
    ]
    assert drawn[0][:2] == ["bar", [37.5]] and drawn[1][:2] == ["bar", []]
    assert "above the threshold" in text(browser, "clip-note")
    assert "Scores of the 30 of 48 frames that were judged" in text(browser, "histogram-note")
    # A list of one clip is left out, and the tick labels have time and frame number.
    assert not browser.find_element(By.CSS_SELECTOR, ".browser nav").is_displayed()
    lines = browser.find_elements(By.CSS_SELECTOR, "#timeline .xtick:first-child text tspan")
    assert [line.text for line in lines] == ["0:00.0", "0"]
    assert browser.get_log("browser") == []
    keep(browser, shots, "report_alone", DESKTOP)


def test_buttons_of_peaks_have_time_frame_and_person(browser, url, content):
    open_page(browser, url)
    clip = content["clips"][0]
    buttons = browser.find_elements(By.CSS_SELECTOR, "button.peak")
    for button, number in zip(buttons, clip["peaks"], strict=True):
        peak = content["scenes"][number]
        when, score, main = button.text.split("\n")
        seconds = peak["frame"] / clip["fps"]
        person = peak["people"][0]["id"]
        assert when == f"0:{seconds:04.1f} · frame {peak['frame']} · person {person}"
        assert float(score) == pytest.approx(peak["value"], abs=0.05)
        near = peak["event"] and peak["event"]["near"]
        said = f"near a tracking fault: {near}" if near else peak["why"]
        assert main == said or (not said and main.startswith("mainly "))


def test_tracking_faults_are_listed_apart_and_can_be_played(browser, faults, tmp_path):
    write_page(faults, tmp_path / "faults.html")
    open_page(browser, (tmp_path / "faults.html").as_uri())
    index = next(i for i, clip in enumerate(faults["clips"]) if clip["faults"])
    browser.find_elements(By.CSS_SELECTOR, "#list button")[index].click()
    first = faults["scenes"][faults["clips"][index]["faults"][0]]
    buttons = browser.find_elements(By.CSS_SELECTOR, "#faults button")
    assert len(buttons) == len(faults["clips"][index]["faults"])
    assert f"tracking fault: {first['fault']}" in buttons[0].text
    assert "no alarms" in text(browser, "faulty")
    browser.execute_script("arguments[0].click()", buttons[0])
    assert moves(browser)
    assert (
        f"Person {first['people'][0]['id']} was not judged (tracking fault: {first['fault']})"
        in text(browser, "caption")
    )
    assert browser.get_log("browser") == []


def test_a_print_has_peaks_with_pictures_and_no_buttons(browser, url):
    open_page(browser, url)
    browser.execute_cdp_cmd("Page.printToPDF", {})
    # The event comes before the page is laid out for paper.
    colours = browser.execute_script(
        "return [...document.querySelectorAll('.peak .still')].map((one) => new Set("
        "one.getContext('2d').getImageData(0, 0, one.width, one.height).data).size)"
    )
    assert colours and min(colours) > 2
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = lambda name: browser.find_element(By.CSS_SELECTOR, name).is_displayed()  # noqa: E731
    assert shown(".peak .still") and shown("#key") and shown("#player")
    assert not any(map(shown, (".browser nav", ".controls", "#people", "#pause", "details")))
    paper = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert paper in ("rgb(255, 255, 255)", "rgba(255, 255, 255, 1)")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_everything_works_by_keyboard(browser, url):
    open_page(browser, url)
    active = lambda: browser.switch_to.active_element  # noqa: E731
    press = lambda *keys: ActionChains(browser).send_keys(*keys).perform()  # noqa: E731
    press(Keys.TAB, Keys.ENTER)  # skip to the clips
    press(Keys.TAB)
    assert active().get_attribute("id") == "find"
    press(Keys.TAB)
    if active().tag_name != "button":  # a list that scrolls can have the focus itself
        press(Keys.TAB)
    press(Keys.ARROW_DOWN, Keys.ENTER)
    names = [
        e.get_attribute("title") for e in browser.find_elements(By.CSS_SELECTOR, "#list button")
    ]
    shown = browser.execute_script("return document.getElementById('clip-name').textContent")
    assert shown == names[1]
    for _ in range(20):
        press(Keys.TAB)
        if active().get_attribute("id") == "timeline":
            break
    assert active().get_attribute("id") == "timeline"
    assert not moves(browser)
    press(Keys.ENTER)
    assert moves(browser)
    press(Keys.SPACE)
    assert not moves(browser)
    # Left and right go from peak to peak.
    pressed = lambda: browser.find_element(  # noqa: E731
        By.CSS_SELECTOR, "button.peak[aria-pressed=true]"
    ).get_attribute("data-scene")
    if len(browser.find_elements(By.CSS_SELECTOR, "button.peak")) > 1:
        before = pressed()
        press(Keys.ARROW_LEFT)
        if pressed() == before:
            press(Keys.ARROW_RIGHT)
        assert pressed() != before
    press(Keys.TAB)
    assert "peak" in active().get_attribute("class")


@pytest.mark.slow
def test_action_words_move_and_can_be_stopped(browser, url):
    open_page(browser, url)
    picture = browser.find_element(By.CSS_SELECTOR, ".word canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    assert moves(browser, ".word canvas")
    browser.find_element(By.ID, "pause").click()
    time.sleep(0.3)
    assert not moves(browser, ".word canvas")


@pytest.mark.slow
def test_with_labels_the_page_has_roc_and_precision_curves(browser, url, content):
    open_page(browser, url)
    for name, area in (("roc", "auc"), ("pr", "ap")):
        (plot,) = browser.find_elements(By.CSS_SELECTOR, f"#{name} .main-svg:first-of-type")
        assert plot.is_displayed()
        # Chance and the curve; the threshold is a point.
        assert len(browser.find_elements(By.CSS_SELECTOR, f"#{name} .js-line")) == 2
        assert len(browser.find_elements(By.CSS_SELECTOR, f"#{name} .points path")) == 1
        assert f"{content['quality'][area]:.3f}" in text(browser, f"{name}-note")
    assert "Compared with the labels of frames" in text(browser, "quality-note")


@pytest.mark.slow
def test_the_page_shows_the_options_of_the_run(browser, url, content):
    open_page(browser, url)
    assert browser.find_element(By.CSS_SELECTOR, "#options table").is_displayed()
    told = dict(
        browser.execute_script(
            "return [...document.querySelectorAll('#options tr')]"
            ".map((row) => [...row.children].map((cell) => cell.textContent))"
        )
    )
    names = [*content["options"]["scoring"], *content["options"]["detector"]]
    assert told.keys() == {*(n.replace("_", " ") for n in names), "threshold", "version"}
    expected = {
        "level": "frame",
        "mode": "assignment",
        "people correction": "false",
        "padded": "–",
        "budget": "320",
        "strides": "1, 2, 3",
        "holdout": "0.1",
        "version": f"gepc_geo {content['about']['version']}",
    }
    assert {name: told[name] for name in expected} == expected
    assert float(told["threshold"]) == pytest.approx(content["threshold"], rel=1e-4)


@pytest.mark.slow
def test_the_page_explains_action_words(browser, url, plain_content, tmp_path):
    open_page(browser, url)
    assert "in 3 words learned in training" in text(browser, "words-note")
    write_page(plain_content, tmp_path / "plain.html")
    open_page(browser, (tmp_path / "plain.html").as_uri())
    note = text(browser, "words-note")
    assert "in windows of 20 frames, in 4 words that are groups of similar windows (k-means" in note
    assert len(browser.find_elements(By.CSS_SELECTOR, ".word canvas")) == 4
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_action_words_show_their_shares(browser, url, content):
    open_page(browser, url)
    cards = browser.find_elements(By.CSS_SELECTOR, ".word")
    assert len(cards) == len(content["words"]) == 3
    for card, word in zip(cards, content["words"], strict=True):
        names = [one.text for one in card.find_elements(By.TAG_NAME, "dt")]
        assert names == ["training", "these clips"]
        shown = [one.text for one in card.find_elements(By.TAG_NAME, "dd")]
        for told, share in zip(shown, (word["share"], word["seen"]), strict=True):
            number, unit = told.split()
            # Whole percents; below ten, one more digit.
            rounded = 0.05 if "." in number else 0.5
            assert unit == "%" and abs(float(number) - 100 * share) <= rounded + 1e-9


@pytest.mark.slow
def test_the_search_finds_a_clip(browser, url):
    open_page(browser, url)
    browser.find_element(By.ID, "find").send_keys("jumping")
    shown = [e for e in browser.find_elements(By.CSS_SELECTOR, "#list li") if e.is_displayed()]
    assert len(shown) == 1 and "jumping" in shown[0].text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hundred", "crowded"])
def test_many_clips_open_quickly(browser, request, tmp_path, name):
    many = request.getfixturevalue(name)
    path = tmp_path / "many.html"
    write_page(many, path)
    start = time.perf_counter()
    open_page(browser, path.as_uri())
    rows = browser.find_elements(By.CSS_SELECTOR, "#list button")
    assert len(rows) == len(many["clips"]) > 100 and time.perf_counter() - start < 20
    start = time.perf_counter()
    browser.execute_script("arguments[0].click()", rows[-1])
    assert time.perf_counter() - start < 4
    assert rows[-1].get_attribute("aria-current") == "true"
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_whole_clips_have_bars_that_can_be_clicked(browser, whole_clips, tmp_path, shots):
    path = tmp_path / "clips.html"
    write_page(whole_clips, path)
    open_page(browser, path.as_uri())
    bars = browser.find_elements(By.CSS_SELECTOR, "#timeline .barlayer .point path")
    assert len(bars) == 12
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", bars[2])
    ActionChains(browser).move_to_element(bars[2]).pause(0.3).click().perform()
    assert text(browser, "clip-name") == whole_clips["clips"][2]["name"] and moves(browser)
    # Without labels there are no curves and no space for them.
    assert "Without labels" in text(browser, "quality-note")
    for name in ("roc", "pr"):
        assert not browser.find_elements(By.CSS_SELECTOR, f"#{name} .main-svg")
        assert not browser.find_element(By.ID, name).find_element(By.XPATH, "..").is_displayed()
    assert browser.get_log("browser") == []
    keep(browser, shots, "report_clips", DESKTOP)


def test_the_real_picture_is_behind_the_people_of_the_peak(browser, content, tmp_path, shots):
    from PIL import Image

    from gepc_geo.report.backdrops import _encoded

    blue = _encoded(Image.new("RGB", (64, 48), (0, 0, 255)), 10_000)
    about = {"src": blue, "x": 0, "y": 0, "width": 4000, "height": 4000, "frame": 3}
    scenes = [scene | {"picture": about} for scene in content["scenes"]]
    write_page(content | {"scenes": scenes}, tmp_path / "page.html")
    open_page(browser, (tmp_path / "page.html").as_uri())
    # The share of blue pixels at the peak's frame, where the scene starts, and at another one.
    blues = """
      const time = document.getElementById("time"), canvas = document.getElementById("player");
      if (arguments[0] !== null) {
        time.value = arguments[0];
        time.dispatchEvent(new Event("input"));
      }
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let strong = 0;
      for (let i = 0; i < data.length; i += 4) {
        const share = (data[i + 2] - data[i]) / 255;
        if (data[i + 3] > 200 && share > 0.7) strong++;
      }
      return [time.value, strong / data.length * 4];"""
    time.sleep(0.5)
    assert browser.get_log("browser") == []
    at, strong = browser.execute_script(blues, None)
    assert at == "3" and strong > 0.2
    _, strong = browser.execute_script(blues, 4)
    assert strong < 0.01
    keep(browser, shots, "report_pictures", DESKTOP)


def test_a_link_to_an_event_opens_its_peak(browser, content, tmp_path):
    write_page(content, tmp_path / "page.html")
    linked = [number for number, one in enumerate(content["scenes"]) if one["event"]]
    number = linked[-1]
    event = content["scenes"][number]["event"]["id"]
    first = next(at for at in linked if content["scenes"][at]["event"]["id"] == event)
    open_page(browser, (tmp_path / "page.html").as_uri() + f"#event-{event}")
    chosen = browser.find_element(By.CSS_SELECTOR, "[aria-pressed=true][data-scene]")
    assert int(chosen.get_attribute("data-scene")) == first
    assert not browser.get_log("browser")
